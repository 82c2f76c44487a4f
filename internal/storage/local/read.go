package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Get implements storage.Storage.
func (s *Storage) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.get(ctx, key, offset, length)
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", key, absent(err))
	}
	return r, nil
}

func (s *Storage) get(ctx context.Context, key string, offset, length int64) (*reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("offset %d: %w", offset, fs.ErrInvalid)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err == nil && length < 0 {
		// An offset beyond the end leaves a length of more than nothing to
		// miss, so that it ends in io.ErrUnexpectedEOF.
		if length = info.Size() - offset; length < 0 {
			length = 1
		}
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	r := &reader{ctx: ctx, f: f, key: key, left: length}
	if past := newPastCache(f, offset, length); past != nil {
		r.past = past
	}
	return r, nil
}

// reader reads left more bytes of f, no fewer.
type reader struct {
	ctx  context.Context
	f    *os.File
	past io.ReadCloser // reads f for a long stretch, else nil
	key  string
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	src := io.Reader(r.f)
	if r.past != nil {
		src = r.past
	}
	n, err := src.Read(p)
	r.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = fmt.Errorf("getting %s: %w", r.key, err)
	}
	return n, err
}

func (r *reader) Close() error {
	err := r.f.Close()
	if r.past != nil {
		err = errors.Join(err, r.past.Close())
	}
	return err
}
