package s3lab

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
)

// store holds buckets, objects and unfinished uploads in memory.
type store struct {
	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[string]*upload
}

type bucket struct {
	objects map[string]*object
	sorted  []string // keys in order; nil when it has to be made anew
}

// object is an object with its content; it never changes once it is stored.
type object struct {
	Info
	data     []byte
	etag     string // with its quotes
	checksum checksum
	header   map[string]string // Content-Type and user metadata
}

// checksum is what the server keeps: an algorithm's name in lower case, its
// value in base64, and FULL_OBJECT or COMPOSITE.
type checksum struct{ algorithm, value, kind string }

type upload struct {
	object           // what it will be, without content
	algorithm string // of its checksums, or ""
	kind      string // FULL_OBJECT or COMPOSITE
	parts     map[int]*part
}

type part struct {
	data     []byte
	etag     string
	checksum checksum
}

func newStore() *store {
	return &store{buckets: map[string]*bucket{}, uploads: map[string]*upload{}}
}

func (s *store) createBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] == nil {
		s.buckets[name] = &bucket{objects: map[string]*object{}}
	}
}

func (s *store) hasBucket(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets[name] != nil
}

func (s *store) bucketNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.buckets))
}

// put stores o, and with createOnly only where its key is free. It reports
// whether it did.
func (s *store) put(o *object, createOnly bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putLocked(o, createOnly)
}

func (s *store) putLocked(o *object, createOnly bool) bool {
	b := s.buckets[o.Bucket]
	_, taken := b.objects[o.Key]
	if taken && createOnly {
		return false
	}
	if !taken {
		b.sorted = nil
	}
	b.objects[o.Key] = o
	return true
}

func (s *store) get(bucket, key string) *object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets[bucket].objects[key]
}

func (s *store) remove(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	delete(b.objects, key)
	b.sorted = nil
}

// after returns up to n objects whose key starts with prefix and is greater
// than start, sorted by key.
func (s *store) after(bucket, prefix, start string, n int) []*object {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b.sorted == nil {
		b.sorted = slices.Sorted(maps.Keys(b.objects))
	}
	i := sort.Search(len(b.sorted), func(i int) bool { return b.sorted[i] > start && b.sorted[i] >= prefix })
	var out []*object
	for ; i < len(b.sorted) && len(out) < n && strings.HasPrefix(b.sorted[i], prefix); i++ {
		out = append(out, b.objects[b.sorted[i]])
	}
	return out
}

func (s *store) addUpload(id string, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[id] = u
}

// upload returns the upload of an id if it is one of that key.
func (s *store) upload(id, bucket, key string) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploadLocked(id, bucket, key)
}

func (s *store) uploadLocked(id, bucket, key string) *upload {
	u := s.uploads[id]
	if u == nil || u.Bucket != bucket || u.Key != key {
		return nil
	}
	return u
}

func (s *store) addPart(u *upload, n int, p *part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.parts[n] = p
}

func (s *store) dropUpload(id, bucket, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploadLocked(id, bucket, key)
	delete(s.uploads, id)
	return u != nil
}

// complete stores the object that an upload became and ends the upload. It
// reports whether the key was free or need not be.
func (s *store) complete(id string, o *object, createOnly bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.putLocked(o, createOnly) {
		return false
	}
	delete(s.uploads, id)
	return true
}

func (s *store) partsOf(u *upload) map[int]*part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(u.parts)
}

func (s *store) openUploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}
