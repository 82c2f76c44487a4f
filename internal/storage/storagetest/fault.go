package storagetest

import (
	"fmt"
	"slices"
)

// Op is a method of storage.Storage or storage.Remover, as a gerund for messages.
type Op string

// The requests that a Memory counts.
const (
	OpPut    Op = "putting"
	OpGet    Op = "getting"
	OpStat   Op = "looking at"
	OpList   Op = "listing"
	OpThaw   Op = "thawing"
	OpRemove Op = "removing"
)

// Request is one request to a Memory.
type Request struct {
	Op  Op
	Key string // the prefix, of OpList
	N   int    // counts the requests of all kinds, from 1
}

// Kind is what goes wrong.
type Kind int

// The kinds of faults. CutBody and FlipBit matter to Get alone and do nothing
// to another request.
const (
	NoFault Kind = iota
	// FailBefore fails the request and leaves the storage as it was.
	FailBefore
	// FailAfter fails the request after it took effect, as when the answer is lost.
	FailAfter
	// CutBody fails the reader of a Get after At bytes.
	CutBody
	// FlipBit flips the lowest bit of byte At of what a Get reads.
	FlipBit
)

// Kinds lists the faults, for tests over all of them.
var Kinds = []Kind{FailBefore, FailAfter, CutBody, FlipBit}

// String names the kind.
func (k Kind) String() string {
	names := []string{"no fault", "fail before", "fail after", "cut body", "flip bit"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// Fault is what happens to one request. The zero value is no fault.
type Fault struct {
	Kind Kind
	At   int64 // bytes from the start of the range that is read
	Err  error // nil means ErrInjected
}

func (f Fault) err() error {
	if f.Err != nil {
		return f.Err
	}
	return ErrInjected
}

// after returns the error of a request that took effect.
func (f Fault) after(op Op, key string) error {
	if f.Kind != FailAfter {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, key, f.err())
}

// SetHook makes hook choose the fault of each request from here on; nil means
// none. It is called without a lock, at the same time from several goroutines,
// and may use the Memory.
func (m *Memory) SetHook(hook func(Request) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// FailNth returns a hook that gives the fault to request n alone, so that a
// test can let every request of a run fail once:
//
//	for n := 1; ; n++ {
//		m := storagetest.NewMemory()
//		m.SetHook(storagetest.FailNth(n, storagetest.Fault{Kind: storagetest.FailAfter}))
//		run(m)
//		if m.Count() < n {
//			break // the run has no request n: all of them had their turn
//		}
//	}
func FailNth(n int, fault Fault) func(Request) Fault {
	return func(r Request) Fault {
		if r.N == n {
			return fault
		}
		return Fault{}
	}
}

// FailFrom returns a hook that gives the fault to request n and all that
// follow, as when the storage is gone or the process was killed there.
func FailFrom(n int, fault Fault) func(Request) Fault {
	return func(r Request) Fault {
		if r.N >= n {
			return fault
		}
		return Fault{}
	}
}

// Count returns the number of requests so far.
func (m *Memory) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

// Requests returns the requests so far, in the order of their N.
func (m *Memory) Requests() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// ResetRequests forgets the requests so far, so that the next one is the first.
func (m *Memory) ResetRequests() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = nil
}
