package tarball

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tarn-backup/tarn/internal/storage"
)

// Compared is what a folder has of the files of an archive.
type Compared struct {
	Files   int64 `json:"files"` // that are there
	Bytes   int64 `json:"bytes"`
	Missing int64 `json:"missing"` // of the list
	// Unlisted are the files of the archive that no list has, whose names have a
	// newline: nobody knows whether they are there.
	Unlisted int64 `json:"unlisted"`
	// Same says that all files are there, with the content that the hash beside
	// the archive is of.
	Same bool `json:"same"`
}

// ErrNothingBeside says that there is nothing to compare with.
var ErrNothingBeside = errors.New("nothing can be compared")

// Compare compares an archive with a folder by its list and its hash, so that the
// archive is not read. Once a file is missing, no further one is read. The files lie in the folder
// where Place has them.
func (t *Tarball) Compare(ctx context.Context, s storage.Storage, folder *os.Root) (c Compared, err error) {
	if t.Sum == nil || t.List == nil {
		return c, fmt.Errorf("comparing %s: %w: %s", t.Body.Key, ErrNothingBeside, t.Unproved())
	}
	want, err := t.ReadSum(ctx, s)
	if err != nil {
		return c, fmt.Errorf("comparing %s: %w", t.Body.Key, err)
	}
	if look, ok := s.(storage.Overwriter); ok && t.Body.Latest {
		in, err := look.Inspect(ctx, t.Body.Key)
		if err != nil {
			return c, fmt.Errorf("comparing %s: %w", t.Body.Key, err)
		}
		c.Unlisted = unlistedIn(in)
	}
	h := NewHasher()
	for name, err := range t.Names(ctx, s) {
		if err != nil {
			return c, fmt.Errorf("comparing %s: %w", t.Body.Key, err)
		}
		sum, size, err := sumOf(ctx, folder, t.Place(name), c.Missing == 0)
		switch {
		case ctx.Err() != nil:
			return c, ctx.Err()
		case err != nil: // whatever it is, the file is not one that a backup could read
			c.Missing++
			continue
		}
		c.Files++
		c.Bytes += size
		h.Add(name, sum)
	}
	c.Same = c.Missing == 0 && c.Unlisted == 0 && c.Files > 0 && h.Is(want)
	return c, nil
}

// sumOf hashes a regular file of a folder, unless it is only to be looked at.
func sumOf(ctx context.Context, folder *os.Root, path string, read bool) (sum MD5, size int64, err error) {
	path = filepath.FromSlash(path)
	st, err := folder.Lstat(path)
	if err != nil {
		return sum, 0, err
	}
	if !st.Mode().IsRegular() {
		return sum, 0, fs.ErrNotExist
	}
	if !read {
		return sum, st.Size(), nil
	}
	f, err := folder.Open(path)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := md5.New()
	var n int64
	if _, err := io.Copy(h, &countingReader{ctx: ctx, r: f, n: &n}); err != nil {
		return sum, 0, err
	}
	return MD5(h.Sum(nil)), n, nil
}
