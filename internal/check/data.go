package check

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/repo"
)

// readArchive reads an archive whole. known is what is wrong with it already.
// If it is damaged it is read again, frame by frame, to find the contents that
// are not: those alone that are lost are marked in list.
func (r *run) readArchive(ctx context.Context, ix *repo.Index, list []stretch, known error) (*damage, error) {
	select {
	case r.reads <- struct{}{}:
		defer func() { <-r.reads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ids, err := r.fresh.Identities()
	if err != nil {
		return nil, err
	}
	found := r.readWhole(ctx, ix, list, ids)
	if isCold(found) {
		r.cold()
		found = nil
	} else {
		r.mu.Lock()
		r.result.ArchivesRead++
		r.mu.Unlock()
	}
	if known == nil && found == nil {
		return nil, nil
	}
	for i := range list {
		list[i].bad = true
	}
	d, err := r.fault(ctx, ix.Key, errors.Join(known, found))
	if err != nil || d.Unread || found == nil {
		return d, err
	}
	reader, err := archive.NewReader(ix.Layout, r.ranger(ix.Key), ids)
	if err != nil {
		return r.fault(ctx, ix.Key, err)
	}
	return d, r.salvage(ctx, reader, ix.Layout, list)
}

// readWhole reads the archive as standard tools do, and compares each content
// with the index, and the object with its checksum.
func (r *run) readWhole(ctx context.Context, ix *repo.Index, list []stretch, ids []age.Identity) error {
	body, err := r.fresh.Storage().Get(ctx, ix.Key, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	crc := crc64nvme.New()
	src := &counted{src: io.TeeReader(body, crc), r: r}
	bad := func(what string) error { return fmt.Errorf("%s: %w", what, tarn.ErrDamaged) }
	next := 0
	for m, err := range archive.Members(ctx, src, ids) {
		if err != nil {
			return err
		}
		if m.Entry.Type != tarn.TypeFile || m.Link != "" || m.Entry.Size == 0 {
			continue
		}
		if next < len(list) && list[next].offset < m.Offset {
			return bad(fmt.Sprintf("content %s is not where the index says", list[next].hash))
		}
		if next == len(list) || list[next].offset != m.Offset {
			continue // a member that no entry needs, such as a reading that failed
		}
		h := sha256.New()
		if _, err := io.Copy(h, m.Content); err != nil {
			return err
		}
		if m.Entry.Size != list[next].size || tarn.ContentHash(h.Sum(nil)) != list[next].hash {
			return bad(fmt.Sprintf("%.80q is not the content %s that the index says", m.Entry.Path, list[next].hash))
		}
		next++
	}
	if next < len(list) {
		return bad(fmt.Sprintf("it ends before content %s", list[next].hash))
	}
	if _, err := io.Copy(io.Discard, src); err != nil {
		return err
	}
	return differs(ix, src.n, src.n, true, crc.Sum64())
}

// counted counts what is read of archives.
type counted struct {
	src io.Reader
	r   *run
	n   int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	c.r.Progress.bytes.Add(int64(n))
	c.r.mu.Lock()
	c.r.result.BytesRead += int64(n)
	c.r.mu.Unlock()
	return n, err
}

func (r *run) ranger(key string) archive.Ranger {
	return func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		body, err := r.fresh.Storage().Get(ctx, key, offset, length)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{&counted{src: body, r: r}, body}, nil
	}
}

// salvage reads a damaged archive frame by frame and takes the mark off the
// contents that are whole.
func (r *run) salvage(ctx context.Context, reader *archive.Reader, layout archive.Layout, list []stretch) error {
	s := &salvager{list: list}
	for _, f := range layout.Frames {
		if s.next == len(s.list) {
			return nil
		}
		end := s.at + int64(f.Uncompressed)
		if s.list[s.next].offset >= end {
			s.skip(end)
			continue
		}
		src, err := reader.Stretch(ctx, s.at, int64(f.Uncompressed))
		if err == nil {
			_, err = io.Copy(s, src)
			src.Close() // only read
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.skip(end)
		}
	}
	return nil
}

// salvager is written the tar stream, but for stretches that are skipped, and
// finds the contents in it that are whole.
type salvager struct {
	list []stretch // sorted by offset
	next int       // the content that is being written, or comes next
	at   int64     // in the tar stream
	hash hash.Hash // of the content so far; nil before its first byte
}

// Write implements io.Writer.
func (s *salvager) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.next < len(s.list) {
		c := &s.list[s.next]
		if s.at < c.offset {
			gap := min(c.offset-s.at, int64(len(p)))
			p, s.at = p[gap:], s.at+gap
			continue
		}
		if s.at == c.offset {
			s.hash = sha256.New()
		}
		part := min(c.offset+c.size-s.at, int64(len(p)))
		if s.hash != nil {
			s.hash.Write(p[:part])
		}
		p, s.at = p[part:], s.at+part
		if s.at == c.offset+c.size {
			c.bad = s.hash == nil || tarn.ContentHash(s.hash.Sum(nil)) != c.hash
			s.next, s.hash = s.next+1, nil
		}
	}
	s.at += int64(len(p))
	return n, nil
}

// skip passes over what can't be read: what lies in it stays marked.
func (s *salvager) skip(to int64) {
	s.at, s.hash = to, nil
	for s.next < len(s.list) && s.list[s.next].offset+s.list[s.next].size <= to {
		s.next++
	}
}
