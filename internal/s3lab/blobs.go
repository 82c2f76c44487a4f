package s3lab

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// blobs is where the lab's own store keeps content. What it keeps never changes.
type blobs interface {
	// create begins a content, which is kept once it is closed.
	create() (newBlob, error)
	open(id string) (blob, error)
	remove(id string) error
}

type newBlob interface {
	io.WriteCloser
	id() string
}

type blob interface {
	io.ReaderAt
	io.Closer
}

// validBlob reports whether s is an id that newBlobID makes, so that no line
// of a journal leads out of the folder.
func validBlob(s string) bool {
	return len(s) == len(rand.Text()) && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// memoryBlobs keeps content in memory.
type memoryBlobs struct{ all sync.Map } // id to []byte

type memoryBlob struct {
	bytes.Buffer
	name string
	home *memoryBlobs
}

func (m *memoryBlobs) create() (newBlob, error) { return &memoryBlob{name: rand.Text(), home: m}, nil }

func (b *memoryBlob) id() string { return b.name }

func (b *memoryBlob) Close() error {
	b.home.all.Store(b.name, b.Bytes())
	return nil
}

func (m *memoryBlobs) open(id string) (blob, error) {
	data, ok := m.all.Load(id)
	if !ok {
		return nil, os.ErrNotExist
	}
	return readable{bytes.NewReader(data.([]byte))}, nil
}

func (m *memoryBlobs) remove(id string) error {
	m.all.Delete(id)
	return nil
}

type readable struct{ io.ReaderAt }

func (readable) Close() error { return nil }

// diskBlobs keeps content in the files of a folder.
type diskBlobs struct{ dir string }

type diskBlob struct {
	*os.File
	name string
}

func (d diskBlobs) path(id string) string { return filepath.Join(d.dir, id[:2], id) }

func (d diskBlobs) create() (newBlob, error) {
	id := rand.Text()
	if err := os.MkdirAll(filepath.Dir(d.path(id)), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path(id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return diskBlob{f, id}, nil
}

func (b diskBlob) id() string { return b.name }

func (d diskBlobs) open(id string) (blob, error) { return os.Open(d.path(id)) }

func (d diskBlobs) remove(id string) error { return os.Remove(d.path(id)) }

// sweep removes what a lab that was killed has left: content that nothing refers to.
func (d diskBlobs) sweep(used func(id string) bool) error {
	folders, err := os.ReadDir(d.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, folder := range folders {
		files, err := os.ReadDir(filepath.Join(d.dir, folder.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			if id := f.Name(); validBlob(id) && !used(id) {
				if err := d.remove(id); err != nil {
					return fmt.Errorf("removing what an upload has left: %w", err)
				}
			}
		}
	}
	return nil
}
