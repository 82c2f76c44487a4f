package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

// headRead is what ReadLayout reads of the beginning at first; the header for
// some tens of recipients fits.
const headRead = 16 << 10

// ReadLayout finds the layout of an object of size bytes from the object alone,
// for an archive whose index is lost: its age header if it has one, which the
// caller compares with what the repository expects, and its seek table. It
// reads a few ranges. CRC64NVME stays 0.
func ReadLayout(ctx context.Context, size int64, r Ranger, ids []age.Identity) (Layout, error) {
	l, err := readLayout(ctx, size, r, ids)
	if err != nil {
		return Layout{}, fmt.Errorf("reading the layout of an archive: %w", err)
	}
	return l, nil
}

func readLayout(ctx context.Context, size int64, r Ranger, ids []age.Identity) (l Layout, err error) {
	o := object{ranger: r, plain: size}
	l.Stored = size
	if l.Header, err = readHeader(ctx, size, r); err != nil {
		return l, err
	}
	if l.Header != nil {
		if o.aead, err = payloadKey(l.Header, ids); err != nil {
			return l, err
		}
		o.head = int64(len(l.Header))
		ok := false
		if o.plain, ok = openedSize(size - o.head); !ok {
			return l, fmt.Errorf("age has no payload of its size: %w", tarn.ErrDamaged)
		}
	}
	if l.Frames, err = o.readSeekTable(ctx); err != nil {
		return l, err
	}
	for _, f := range l.Frames {
		l.Size += int64(f.Uncompressed)
	}
	return l, l.check()
}

// readHeader returns the age header and the nonce, nil if the object does not
// begin with age's first line.
func readHeader(ctx context.Context, size int64, r Ranger) ([]byte, error) {
	for n := int64(headRead); ; n = maxHeader {
		head, err := readRange(ctx, &object{ranger: r, plain: size}, 0, min(n, size))
		if err != nil {
			return nil, err
		}
		if !isAge(head) {
			return nil, nil
		}
		if end := headerEnd(head); end > 0 {
			return head[:end:end], nil
		}
		if n >= min(size, maxHeader) {
			return nil, fmt.Errorf("age header has no end: %w", tarn.ErrDamaged)
		}
	}
}

// headerEnd returns where the payload begins: behind the nonce, which follows
// the line that starts with three dashes; 0 if b is too short.
func headerEnd(b []byte) int {
	mac := bytes.Index(b, []byte("\n--- "))
	if mac < 0 {
		return 0
	}
	line := bytes.IndexByte(b[mac+1:], '\n')
	end := mac + 1 + line + 1 + nonceSize
	if line < 0 || end > len(b) {
		return 0
	}
	return end
}

// readRange returns plain bytes of the object.
func readRange(ctx context.Context, o *object, from, to int64) ([]byte, error) {
	if from >= to {
		return nil, nil
	}
	src, err := o.open(ctx, from, to)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	b := make([]byte, to-from)
	if _, err := io.ReadFull(src, b); err != nil {
		return nil, noEOF(err)
	}
	return b, nil
}

// tailRead is what ReadLayout reads of the end at first; the seek table of 32 GiB
// of tar fits.
const tailRead = 64 << 10

// readSeekTable reads the seek table, whose footer says how long it is.
func (o *object) readSeekTable(ctx context.Context) ([]Frame, error) {
	tail, err := readRange(ctx, o, max(o.plain-tailRead, 0), o.plain)
	if err != nil {
		return nil, err
	}
	if int64(len(tail)) < seekTableSize(0) {
		return nil, errNoTable
	}
	foot := tail[len(tail)-seekFooter:]
	n := int(binary.LittleEndian.Uint32(foot))
	size := seekTableSize(n)
	if binary.LittleEndian.Uint32(foot[5:]) != seekMagic || foot[4] != 0 || n > maxFrames || size > o.plain {
		return nil, errNoTable
	}
	if size <= int64(len(tail)) {
		return parseSeekTable(bytes.NewReader(tail[int64(len(tail))-size:]), n)
	}
	src, err := o.open(ctx, o.plain-size, o.plain)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return parseSeekTable(bufio.NewReaderSize(src, chunkSize), n)
}

var errNoTable = fmt.Errorf("no seek table at its end: %w", tarn.ErrDamaged)

// parseSeekTable reads the table of n frames, without its footer. What it takes grows with what
// is really there, not with n.
func parseSeekTable(src io.Reader, n int) (frames []Frame, err error) {
	var entry [seekEntry]byte
	if _, err := io.ReadFull(src, entry[:]); err != nil {
		return nil, noEOF(err)
	}
	if binary.LittleEndian.Uint32(entry[:]) != skipMagic || int64(binary.LittleEndian.Uint32(entry[4:])) != seekTableSize(n)-skipHeader {
		return nil, errNoTable
	}
	for range n {
		if _, err := io.ReadFull(src, entry[:]); err != nil {
			return nil, noEOF(err)
		}
		frames = append(frames, Frame{binary.LittleEndian.Uint32(entry[:]), binary.LittleEndian.Uint32(entry[4:])})
	}
	return frames, nil
}
