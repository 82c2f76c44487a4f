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

// readSeekTable reads the footer of the seek table, which says how long the
// table is, and the table.
func (o *object) readSeekTable(ctx context.Context) ([]Frame, error) {
	bad := func(what string) error { return fmt.Errorf("seek table at its end: %s: %w", what, tarn.ErrDamaged) }
	if o.plain < seekTableSize(0) {
		return nil, bad("too short")
	}
	foot, err := readRange(ctx, o, o.plain-seekFooter, o.plain)
	if err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(foot))
	if binary.LittleEndian.Uint32(foot[5:]) != seekMagic || foot[4] != 0 || n > maxFrames || seekTableSize(int(n)) > o.plain {
		return nil, bad("no such table")
	}
	begin := o.plain - seekTableSize(int(n))
	src, err := o.open(ctx, begin, o.plain)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	b := bufio.NewReaderSize(src, chunkSize)
	var entry [seekEntry]byte
	if _, err := io.ReadFull(b, entry[:]); err != nil {
		return nil, noEOF(err)
	}
	if binary.LittleEndian.Uint32(entry[:]) != skipMagic || int64(binary.LittleEndian.Uint32(entry[4:])) != seekTableSize(int(n))-skipHeader {
		return nil, bad("no skippable frame")
	}
	// The table is as long as the object says, so it grows with what is there.
	var frames []Frame
	for range n {
		if _, err := io.ReadFull(b, entry[:]); err != nil {
			return nil, noEOF(err)
		}
		f := Frame{binary.LittleEndian.Uint32(entry[:]), binary.LittleEndian.Uint32(entry[4:])}
		frames = append(frames, f)
	}
	return frames, nil
}
