package storagetest

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Memory is a storage in memory whose requests a test can make fail. The zero
// value is not ready; use NewMemory.
type Memory struct {
	mu       sync.Mutex
	objects  map[string]stored
	requests []Request
	hook     func(Request) Fault
	now      func() time.Time
	cold     map[string]thaw // nil if cold classes are as warm as others
}

type stored struct {
	data     []byte // never changed in place
	info     storage.Object
	metadata map[string]string
}

// NewMemory returns an empty storage without faults.
func NewMemory() *Memory {
	return &Memory{objects: map[string]stored{}, now: time.Now}
}

// SetNow makes now the clock of the times of objects from here on.
func (m *Memory) SetNow(now func() time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
}

// Clone returns a storage with the same objects and neither hook nor log.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory()
	c.objects, c.now, c.cold = maps.Clone(m.objects), m.now, maps.Clone(m.cold)
	return c
}

// Keys returns the keys of all objects, sorted, without making a request.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// Bytes returns a copy of an object without making a request; nil if there is none.
func (m *Memory) Bytes(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.objects[key].data)
}

// Plant puts an object in place of what is there, as damage or an attacker
// would, without making a request.
func (m *Memory) Plant(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store(key, bytes.Clone(data), m.objects[key].info.Class)
}

// Drop deletes an object, as a loss would, without making a request.
func (m *Memory) Drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

func (m *Memory) store(key string, data []byte, class tarn.Class) storage.Object {
	if class == "" {
		class = tarn.Standard
	}
	o := storage.Object{
		Key: key, Size: int64(len(data)), Modified: m.now(), Class: class,
		Checksum: storage.Checksum{Sum: crc64nvme.Checksum(data), Known: true},
	}
	m.objects[key] = stored{data: data, info: o}
	return o
}

// Location implements storage.Storage.
func (m *Memory) Location() string { return "memory" }

// Put implements storage.Storage. It is one request, however large.
func (m *Memory) Put(ctx context.Context, key string, r io.Reader, opts storage.PutOptions) (storage.Object, error) {
	return m.put(ctx, key, r, opts, false)
}

// Overwrite implements storage.Overwriter, as the same kind of request.
func (m *Memory) Overwrite(ctx context.Context, key string, r io.Reader, opts storage.PutOptions) (storage.Object, error) {
	return m.put(ctx, key, r, opts, true)
}

// Inspect implements storage.Overwriter.
func (m *Memory) Inspect(ctx context.Context, key string) (storage.Inspected, error) {
	o, err := m.stat(ctx, OpStat, key)
	if err != nil {
		return storage.Inspected{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.objects[key]
	return storage.Inspected{Object: o, MD5: fmt.Sprintf("%x", md5.Sum(kept.data)), Metadata: maps.Clone(kept.metadata)}, nil
}

func (m *Memory) put(ctx context.Context, key string, r io.Reader, opts storage.PutOptions, over bool) (storage.Object, error) {
	fault, err := m.begin(ctx, OpPut, key)
	if err != nil {
		return storage.Object{}, err
	}
	data, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return storage.Object{}, fmt.Errorf("putting %s: %w", key, err)
	}
	m.mu.Lock()
	if _, ok := m.objects[key]; ok && !over {
		m.mu.Unlock()
		return storage.Object{}, fmt.Errorf("putting %s: %w", key, fs.ErrExist)
	}
	o := m.store(key, data, opts.Class)
	kept := m.objects[key]
	kept.metadata = maps.Clone(opts.Metadata)
	m.objects[key] = kept
	m.mu.Unlock()
	if err := fault.after(OpPut, key); err != nil {
		return storage.Object{}, err
	}
	if opts.Acknowledged != nil {
		opts.Acknowledged(o.Size)
	}
	return o, nil
}

// Get implements storage.Storage.
func (m *Memory) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	fault, err := m.begin(ctx, OpGet, key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("getting %s: offset %d: %w", key, offset, fs.ErrInvalid)
	}
	m.mu.Lock()
	o, ok := m.objects[key]
	cold := m.readable(o.info)
	m.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("getting %s: %w", key, fs.ErrNotExist)
	}
	if cold != nil {
		return nil, cold
	}
	if err := fault.after(OpGet, key); err != nil {
		return nil, err
	}
	size := int64(len(o.data))
	r := &body{ctx: ctx, key: key, fault: fault}
	if length < 0 {
		length = size - offset
		r.short = length < 0
	} else {
		r.short = length > size-offset
	}
	start := min(offset, size)
	r.data = o.data[start : start+min(max(length, 0), size-start)]
	return r, nil
}

// body is what a Get reads, with the fault that its request has.
type body struct {
	ctx   context.Context
	key   string
	data  []byte
	at    int64
	short bool // the object ends before what was asked for
	fault Fault
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	left := b.data[b.at:]
	if b.fault.Kind == CutBody && b.at+int64(len(left)) > b.fault.At {
		left = left[:max(b.fault.At-b.at, 0)]
		if len(left) == 0 {
			return 0, fmt.Errorf("getting %s: %w", b.key, b.fault.err())
		}
	}
	if len(left) == 0 {
		if b.short {
			return 0, fmt.Errorf("getting %s: %w", b.key, io.ErrUnexpectedEOF)
		}
		return 0, io.EOF
	}
	n := copy(p, left)
	if i := b.fault.At - b.at; b.fault.Kind == FlipBit && i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	b.at += int64(n)
	return n, nil
}

func (b *body) Close() error { return nil }

// Stat implements storage.Storage.
func (m *Memory) Stat(ctx context.Context, key string) (storage.Object, error) {
	return m.stat(ctx, OpStat, key)
}

func (m *Memory) stat(ctx context.Context, op Op, key string) (storage.Object, error) {
	fault, err := m.begin(ctx, op, key)
	if err != nil {
		return storage.Object{}, err
	}
	m.mu.Lock()
	o, ok := m.objects[key]
	info := m.condition(o.info)
	m.mu.Unlock()
	if !ok {
		return storage.Object{}, fmt.Errorf("looking at %s: %w", key, fs.ErrNotExist)
	}
	return info, fault.after(op, key)
}

// List implements storage.Storage. It is one request.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		fault, err := m.begin(ctx, OpList, prefix)
		if err != nil {
			yield(storage.Object{}, err)
			return
		}
		m.mu.Lock()
		var found []storage.Object
		for key, o := range m.objects {
			if strings.HasPrefix(key, prefix) {
				found = append(found, m.condition(o.info))
			}
		}
		m.mu.Unlock()
		slices.SortFunc(found, func(a, b storage.Object) int { return strings.Compare(a.Key, b.Key) })
		for _, o := range found {
			if err := ctx.Err(); err != nil {
				yield(storage.Object{}, fmt.Errorf("listing %s: %w", prefix, err))
				return
			}
			o.Checksum = storage.Checksum{} // as a real one, which does not say it here
			if !yield(o, nil) {
				return
			}
		}
		// A listing that fails after it took effect has yielded all but its end.
		if err := fault.after(OpList, prefix); err != nil {
			yield(storage.Object{}, err)
		}
	}
}

// NewRemover returns what deletes objects of m, as requests that can fail too.
func NewRemover(m *Memory) storage.Remover { return remover{m} }

type remover struct{ m *Memory }

// Remove implements storage.Remover.
func (r remover) Remove(ctx context.Context, key string) error {
	fault, err := r.m.begin(ctx, OpRemove, key)
	if err != nil {
		return err
	}
	r.m.mu.Lock()
	_, ok := r.m.objects[key]
	delete(r.m.objects, key)
	r.m.mu.Unlock()
	if !ok {
		return fmt.Errorf("removing %s: %w", key, fs.ErrNotExist)
	}
	return fault.after(OpRemove, key)
}

// begin counts a request, asks the hook for its fault and refuses bad keys.
func (m *Memory) begin(ctx context.Context, op Op, key string) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, fmt.Errorf("%s %s: %w", op, key, err)
	}
	if op != OpList && (len(key) > 1024 || !tarn.ValidPath(key)) {
		return Fault{}, fmt.Errorf("%s %.80q: %w", op, key, fs.ErrInvalid)
	}
	m.mu.Lock()
	req := Request{Op: op, Key: key, N: len(m.requests) + 1}
	m.requests = append(m.requests, req)
	hook := m.hook
	m.mu.Unlock()
	var fault Fault
	if hook != nil {
		fault = hook(req)
	}
	if fault.Kind == FailBefore {
		return fault, fmt.Errorf("%s %s: %w", op, key, fault.err())
	}
	return fault, nil
}

// ErrInjected is the error of a fault that names no other.
var ErrInjected = errors.New("injected fault")
