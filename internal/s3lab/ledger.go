package s3lab

import (
	"errors"
	"iter"
	"sync"
	"time"
)

// Ledger is a lab's log and its clock. Everything that happens is an event,
// which is kept first and then applied to what the lab knows; after a restart
// the same events are applied again. One lock guards it all.
type Ledger struct {
	mu     sync.Mutex
	base   func() time.Time
	offset time.Duration
	keep   keeper
	apply  []func(Event) // with the lock held
}

// keeper is where events are kept.
type keeper interface {
	append(e Event) error
	// all returns the events so far, in their order.
	all() iter.Seq2[Event, error]
	close() error
}

func newLedger(now func() time.Time, keep keeper) *Ledger {
	if now == nil {
		now = time.Now
	}
	return &Ledger{base: now, keep: keep}
}

// Now is the time on the lab's clock.
func (l *Ledger) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now()
}

func (l *Ledger) now() time.Time { return l.base().Add(l.offset).UTC().Round(0) }

// Advance moves the clock forward.
func (l *Ledger) Advance(d time.Duration) error {
	if d < 0 {
		return errors.New("the lab's clock goes forward only")
	}
	return l.change(func(now time.Time) ([]Event, *Error) {
		if d > maxAhead-l.offset {
			return nil, invalidArgument("the lab's clock goes 100 years ahead at most")
		}
		return []Event{{Kind: eventClock, Time: now, Offset: l.offset + d}}, nil
	}).orNil()
}

// maxAhead keeps all times and spans such that they can be counted with.
const maxAhead = 100 * 365 * day

// Events returns everything that has happened, in its order.
func (l *Ledger) Events() iter.Seq2[Event, error] { return l.keep.all() }

// change is the only way to change anything. decide sees a state that does not
// change meanwhile, and says what happens or why nothing does.
func (l *Ledger) change(decide func(now time.Time) ([]Event, *Error)) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	events, err := decide(now)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.Time.IsZero() {
			e.Time = now
		}
		err := e.check()
		if err == nil {
			err = l.keep.append(e)
		}
		if err != nil {
			return internal(err)
		}
		l.replay(e)
	}
	return nil
}

// replay applies an event that is kept.
func (l *Ledger) replay(e Event) {
	if e.Kind == eventClock {
		l.offset = e.Offset
	}
	for _, f := range l.apply {
		f(e)
	}
}

// read runs f with the lock held.
func (l *Ledger) read(f func(now time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.now())
}

// forgetful keeps nothing.
type forgetful struct{}

func (forgetful) append(Event) error           { return nil }
func (forgetful) all() iter.Seq2[Event, error] { return func(func(Event, error) bool) {} }
func (forgetful) close() error                 { return nil }

// memory keeps events as long as the program runs.
type memory struct {
	mu     sync.Mutex
	events []Event
}

func (m *memory) append(e Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
	return nil
}

func (m *memory) all() iter.Seq2[Event, error] {
	m.mu.Lock()
	events := m.events[:len(m.events):len(m.events)]
	m.mu.Unlock()
	return func(yield func(Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memory) close() error { return nil }
