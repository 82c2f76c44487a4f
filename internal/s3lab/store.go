package s3lab

import (
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// store holds buckets, objects and unfinished uploads. The ledger's lock
// guards it, and the ledger's events alone change it.
type store struct {
	ledger  *Ledger
	blobs   blobs
	buckets map[string]*bucket
	uploads map[string]*upload
}

type bucket struct {
	objects map[string]*object
	sorted  []string // keys in order; nil when it has to be made anew
}

// object is an object; it never changes once it is stored.
type object struct {
	Info
	content
}

type upload struct {
	object // what it will be; its checksum is the algorithm and kind that were asked for
	parts  map[int]*part
}

type part struct {
	content
	size int64
}

func newStore(ledger *Ledger, blobs blobs) *store {
	s := &store{ledger: ledger, blobs: blobs, buckets: map[string]*bucket{}, uploads: map[string]*upload{}}
	ledger.apply = append(ledger.apply, s.apply)
	return s
}

// apply does what an event says.
func (s *store) apply(e Event) {
	switch e.Kind {
	case eventBucket:
		s.bucketOf(e.Bucket)
	case eventCreated:
		s.created(e)
	case eventRemoved:
		b := s.bucketOf(e.Bucket)
		if o := b.objects[e.Key]; o != nil {
			s.drop(o.Blob)
			delete(b.objects, e.Key)
			b.sorted = nil
		}
	case eventMoved:
		if o := s.bucketOf(e.Bucket).objects[e.Key]; o != nil {
			moved := *o
			moved.Class = e.Class
			s.buckets[e.Bucket].objects[e.Key] = &moved
		}
	case eventUpload:
		o := object{Info: Info{Bucket: e.Bucket, Key: e.Key, Class: e.Class}, content: e.contents()}
		s.uploads[e.Upload] = &upload{object: o, parts: map[int]*part{}}
	case eventPart:
		if u := s.uploads[e.Upload]; u != nil {
			if old := u.parts[e.Part]; old != nil {
				s.drop(old.Blob)
			}
			u.parts[e.Part] = &part{content: e.contents(), size: e.Size}
		}
	case eventAborted:
		s.end(e.Upload)
	}
}

func (e *Event) contents() content {
	if e.Content == nil {
		return content{}
	}
	return *e.Content
}

func (s *store) created(e Event) {
	b := s.bucketOf(e.Bucket)
	if old := b.objects[e.Key]; old != nil {
		s.drop(old.Blob)
	} else {
		b.sorted = nil
	}
	b.objects[e.Key] = &object{Info: Info{Bucket: e.Bucket, Key: e.Key, Size: e.Size, Class: e.Class, Modified: e.Time}, content: e.contents()}
	s.end(e.Upload)
}

// end forgets an upload and its parts.
func (s *store) end(id string) {
	if u := s.uploads[id]; u != nil {
		for _, p := range u.parts {
			s.drop(p.Blob)
		}
		delete(s.uploads, id)
	}
}

// drop removes content that nothing refers to any more. What can't be removed,
// since it is being read on a system that does not allow it, goes when the lab starts again.
func (s *store) drop(blob string) {
	if blob != "" {
		_ = s.blobs.remove(blob)
	}
}

func (s *store) bucketOf(name string) *bucket {
	if s.buckets[name] == nil {
		s.buckets[name] = &bucket{objects: map[string]*object{}}
	}
	return s.buckets[name]
}

// used returns the content that something refers to.
func (s *store) used() map[string]bool {
	ids := map[string]bool{}
	for _, b := range s.buckets {
		for _, o := range b.objects {
			ids[o.Blob] = true
		}
	}
	for _, u := range s.uploads {
		for _, p := range u.parts {
			ids[p.Blob] = true
		}
	}
	return ids
}

func (s *store) createBucket(name string) *Error {
	return s.ledger.change(func(time.Time) ([]Event, *Error) {
		if s.buckets[name] != nil {
			return nil, nil
		}
		return []Event{{Kind: eventBucket, Bucket: name}}, nil
	})
}

func (s *store) hasBucket(name string) (has bool) {
	s.ledger.read(func(time.Time) { has = s.buckets[name] != nil })
	return has
}

func (s *store) bucketNames() (names []string) {
	s.ledger.read(func(time.Time) { names = slices.Sorted(maps.Keys(s.buckets)) })
	return names
}

func (o *object) event(kind string) Event {
	return Event{Kind: kind, Bucket: o.Bucket, Key: o.Key, Class: o.Class, Size: o.Size, Content: &o.content}
}

// put stores o, and with createOnly only where its key is free. Where the
// object was an upload, its id ends that.
func (s *store) put(o *object, createOnly bool, uploadID string) *Error {
	return s.ledger.change(func(now time.Time) ([]Event, *Error) {
		if s.buckets[o.Bucket] == nil {
			return nil, errNoSuchBucket
		}
		if uploadID != "" && s.uploads[uploadID] == nil {
			return nil, errNoSuchUpload
		}
		if _, taken := s.buckets[o.Bucket].objects[o.Key]; taken && createOnly {
			return nil, errPrecondition
		}
		e := o.event(eventCreated)
		e.Upload, o.Modified = uploadID, now
		return []Event{e}, nil
	})
}

func (s *store) get(bucket, key string) (o *object) {
	s.ledger.read(func(time.Time) {
		if b := s.buckets[bucket]; b != nil {
			o = b.objects[key]
		}
	})
	return o
}

// fetch returns an object with its content opened, nil if there is none.
func (s *store) fetch(bucket, key string) (o *object, content blob, err *Error) {
	s.ledger.read(func(time.Time) {
		if b := s.buckets[bucket]; b != nil && b.objects[key] != nil {
			o = b.objects[key]
			content, err = s.open(o.Blob)
		}
	})
	return o, content, err
}

func (s *store) open(id string) (blob, *Error) {
	b, err := s.blobs.open(id)
	if err != nil {
		return nil, internal(err)
	}
	return b, nil
}

// remove deletes what is there of some keys.
func (s *store) remove(bucket string, keys ...string) *Error {
	return s.ledger.change(func(time.Time) (events []Event, _ *Error) {
		for _, key := range keys {
			if s.buckets[bucket] != nil && s.buckets[bucket].objects[key] != nil {
				events = append(events, Event{Kind: eventRemoved, Bucket: bucket, Key: key})
			}
		}
		return events, nil
	})
}

// after returns up to n objects whose key starts with prefix and is greater
// than start, sorted by key.
func (s *store) after(bucket, prefix, start string, n int) (out []*object) {
	s.ledger.read(func(time.Time) {
		b := s.buckets[bucket]
		if b == nil {
			return
		}
		if b.sorted == nil {
			b.sorted = slices.Sorted(maps.Keys(b.objects))
		}
		i := sort.Search(len(b.sorted), func(i int) bool { return b.sorted[i] > start && b.sorted[i] >= prefix })
		for ; i < len(b.sorted) && len(out) < n && strings.HasPrefix(b.sorted[i], prefix); i++ {
			out = append(out, b.objects[b.sorted[i]])
		}
	})
	return out
}

func (s *store) addUpload(id string, o *object) *Error {
	return s.ledger.change(func(time.Time) ([]Event, *Error) {
		e := o.event(eventUpload)
		e.Upload = id
		return []Event{e}, nil
	})
}

// upload returns the upload of an id, with the parts so far, if it is one of that key.
func (s *store) upload(id, bucket, key string) (found *upload) {
	s.ledger.read(func(time.Time) {
		if u := s.uploads[id]; u != nil && u.Bucket == bucket && u.Key == key {
			found = &upload{object: u.object, parts: maps.Clone(u.parts)}
		}
	})
	return found
}

func (s *store) addPart(id string, n int, p *part) *Error {
	return s.ledger.change(func(time.Time) ([]Event, *Error) {
		u := s.uploads[id]
		if u == nil {
			return nil, errNoSuchUpload
		}
		return []Event{{Kind: eventPart, Bucket: u.Bucket, Key: u.Key, Upload: id, Part: n, Size: p.size, Content: &p.content}}, nil
	})
}

func (s *store) dropUpload(id, bucket, key string) *Error {
	return s.ledger.change(func(time.Time) ([]Event, *Error) {
		if u := s.uploads[id]; u == nil || u.Bucket != bucket || u.Key != key {
			return nil, errNoSuchUpload
		}
		return []Event{{Kind: eventAborted, Bucket: bucket, Key: key, Upload: id}}, nil
	})
}

func (s *store) openUploads() (n int) {
	s.ledger.read(func(time.Time) { n = len(s.uploads) })
	return n
}

// section reads the bytes of a blob from start up to end.
func section(b blob, start, end int64) io.Reader { return io.NewSectionReader(b, start, end-start) }
