package repo

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// memoryCache serves where no cache was given.
type memoryCache struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (c *memoryCache) Open(name string) (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.files[name]
	if !ok {
		return nil, fmt.Errorf("%s in the cache: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (c *memoryCache) Create() (CacheFile, error) { return &memoryFile{cache: c}, nil }

func (c *memoryCache) Forget(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.files, name)
	return nil
}

type memoryFile struct {
	bytes.Buffer
	cache *memoryCache
}

func (f *memoryFile) Keep(name string) error {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	if f.cache.files == nil {
		f.cache.files = map[string][]byte{}
	}
	f.cache.files[name] = f.Bytes()
	return nil
}

func (f *memoryFile) Discard() error { return nil }
