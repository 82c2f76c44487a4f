package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
)

// Member is one member of an archive.
type Member struct {
	Entry tarn.Entry // without content hash
	// Link is the member that this is a further name of; "" if it is not.
	Link    string
	Offset  int64 // of the content in the tar stream
	Content io.Reader
}

// Members yields the members of an archive from its object's bytes, in order. It
// needs no seek table and no index, and reads tar by other code than Writer
// writes it. Content is valid until the next member. An error ends it.
func Members(ctx context.Context, object io.Reader, ids []age.Identity) iter.Seq2[*Member, error] {
	return func(yield func(*Member, error) bool) {
		plain, err := unsealed(object, ids)
		if err != nil {
			yield(nil, err)
			return
		}
		z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			yield(nil, fmt.Errorf("decoding an archive: %w: %w", tarn.ErrDamaged, err))
			return
		}
		defer z.Close()
		count := &countingReader{r: z}
		tr := tar.NewReader(count)
		for {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			h, err := tr.Next()
			if errors.Is(err, io.EOF) {
				if _, err = io.Copy(io.Discard, plainRest(count, plain)); err != nil {
					yield(nil, damage(err))
				}
				return
			}
			if err != nil {
				yield(nil, damage(err))
				return
			}
			m, err := member(h)
			if err != nil {
				yield(nil, err)
				return
			}
			m.Offset, m.Content = count.n, damageReader{tr}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// plainRest reads what follows the tar's end: zeros and the seek table, so that
// damage there and a cut encryption are found, too.
func plainRest(tail, object io.Reader) io.Reader { return io.MultiReader(tail, object) }

// unsealed takes the encryption off, if there is one.
func unsealed(object io.Reader, ids []age.Identity) (io.Reader, error) {
	b := bufio.NewReaderSize(object, 64<<10)
	head, err := b.Peek(len("age-encryption.org/"))
	if err != nil || !bytes.Equal(head, []byte("age-encryption.org/")) {
		return b, nil // what is not zstd either is found by the decoder
	}
	if len(ids) == 0 {
		return nil, tarn.ErrNoIdentity
	}
	plain, err := age.Decrypt(b, ids...)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, fmt.Errorf("%w: %w", tarn.ErrNoIdentity, err)
	} else if err != nil {
		return nil, fmt.Errorf("decrypting an archive: %w: %w", tarn.ErrDamaged, err)
	}
	return plain, nil
}

// damage marks an error of decoding as damage, but not one of the context.
func damage(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tarn.ErrDamaged) {
		return err
	}
	return fmt.Errorf("decoding an archive: %w: %w", tarn.ErrDamaged, err)
}

type damageReader struct{ r io.Reader }

func (d damageReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = damage(err)
	}
	return n, err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

var flagTypes = map[byte]tarn.Type{
	tar.TypeReg: tarn.TypeFile, tar.TypeSymlink: tarn.TypeSymlink, tar.TypeChar: tarn.TypeChar,
	tar.TypeBlock: tarn.TypeBlock, tar.TypeDir: tarn.TypeDir, tar.TypeFifo: tarn.TypeFIFO, tar.TypeLink: tarn.TypeFile,
}

func member(h *tar.Header) (*Member, error) {
	t, ok := flagTypes[h.Typeflag]
	name := strings.TrimSuffix(h.Name, "/")
	if !ok || !tarn.ValidPath(name) || h.Size < 0 {
		return nil, fmt.Errorf("member %.80q of type %q: %w", h.Name, h.Typeflag, tarn.ErrDamaged)
	}
	m := &Member{Entry: tarn.Entry{
		Path: name, Type: t, Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), User: h.Uname, Group: h.Gname,
		MTime: tarn.TimespecOf(h.ModTime), Major: uint32(h.Devmajor), Minor: uint32(h.Devminor),
	}}
	e := &m.Entry
	if !h.ChangeTime.IsZero() {
		e.CTime = tarn.TimespecOf(h.ChangeTime)
	}
	switch {
	case h.Typeflag == tar.TypeLink:
		m.Link = h.Linkname
	case t == tarn.TypeSymlink:
		e.Target = h.Linkname
	case t == tarn.TypeFile:
		e.Size = h.Size
	}
	for key, value := range h.PAXRecords {
		if x, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: x, Value: []byte(value)})
		}
	}
	slices.SortFunc(e.Xattrs, func(a, b tarn.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return m, nil
}

// ReadLayout finds the layout of an object of size bytes from the object
// itself: its age header and its seek table. CRC64NVME stays zero.
func ReadLayout(ctx context.Context, size int64, r Ranger, ids []age.Identity) (Layout, error) {
	l := Layout{Stored: size}
	head, err := readRange(ctx, r, 0, min(size, 64<<10))
	if err != nil {
		return l, err
	}
	payload := size
	if bytes.HasPrefix(head, []byte("age-encryption.org/")) {
		header, err := age.ExtractHeader(bytes.NewReader(head))
		if err != nil || len(header)+nonceSize > len(head) {
			return l, fmt.Errorf("age header: %w", errors.Join(tarn.ErrDamaged, err))
		}
		l.Header = head[:len(header)+nonceSize]
		sealed := size - int64(len(l.Header))
		payload = sealed - (sealed+chunkStore-1)/chunkStore*16
	}
	tail := &tailReader{ctx: ctx, r: r, layout: &l, payload: payload}
	if l.Header != nil {
		if tail.key, err = payloadKey(l.Header, ids); err != nil {
			return l, err
		}
	}
	if l.Frames, err = tail.seekTable(); err != nil {
		return l, err
	}
	for _, f := range l.Frames {
		l.Size += int64(f.Uncompressed)
	}
	return l, l.check()
}

func readRange(ctx context.Context, r Ranger, offset, length int64) ([]byte, error) {
	body, err := r(ctx, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b := make([]byte, length)
	if _, err := io.ReadFull(body, b); err != nil {
		return nil, noEOF(err)
	}
	return b, nil
}

// seekTable reads the seek table at the payload's end: its footer says how
// long it is.
func (t *tailReader) seekTable() ([]Frame, error) {
	bad := fmt.Errorf("no seek table at its end: %w", tarn.ErrDamaged)
	if t.payload < skipOverhead+seekFooter {
		return nil, bad
	}
	foot, err := t.read(t.payload-seekFooter, seekFooter)
	if err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(foot))
	size := seekTableSize(int(n))
	if binary.LittleEndian.Uint32(foot[5:]) != seekMagic || foot[4] != 0 || n > maxFrames || size > t.payload {
		return nil, bad
	}
	table, err := t.read(t.payload-size, size)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(table) != skipMagic || int64(binary.LittleEndian.Uint32(table[4:])) != size-skipOverhead {
		return nil, bad
	}
	frames := make([]Frame, n)
	for i := range frames {
		at := table[skipOverhead+i*seekEntry:]
		frames[i] = Frame{binary.LittleEndian.Uint32(at), binary.LittleEndian.Uint32(at[4:])}
	}
	return frames, nil
}
