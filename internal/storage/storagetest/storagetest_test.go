package storagetest

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/storage"
)

func TestMemoryContract(t *testing.T) {
	Run(t, func(*testing.T) storage.Storage { return NewMemory() })
}

func TestMemoryOverwrite(t *testing.T) {
	RunOverwrite(t, func(*testing.T) storage.Storage { return NewMemory() })
}

func TestMemoryColdContract(t *testing.T) {
	RunCold(t, func(*testing.T) (storage.Storage, func(time.Duration)) {
		m, now := NewMemory(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		m.SetCold()
		m.SetNow(func() time.Time { return now })
		return m, func(d time.Duration) { now = now.Add(d) }
	})
}

func TestMemoryFaults(t *testing.T) {
	mine := errors.New("mine")
	tests := []struct {
		fault  Fault
		there  bool // whether the object is there after a Put with the fault
		putErr error
		getErr error
		got    string
	}{
		{Fault{}, true, nil, nil, "content"},
		{Fault{Kind: FailBefore}, false, ErrInjected, ErrInjected, ""},
		{Fault{Kind: FailAfter, Err: mine}, true, mine, mine, ""},
		{Fault{Kind: CutBody, At: 3}, true, nil, ErrInjected, "con"},
		{Fault{Kind: CutBody, At: 7}, true, nil, nil, "content"},
		{Fault{Kind: FlipBit, At: 2}, true, nil, nil, "cootent"},
	}
	for _, test := range tests {
		m := NewMemory()
		m.SetHook(FailNth(1, test.fault))
		_, err := m.Put(t.Context(), "a", strings.NewReader("content"), storage.PutOptions{})
		if !errors.Is(err, test.putErr) {
			t.Errorf("%v: put: %v", test.fault.Kind, err)
		}
		if there := m.Bytes("a") != nil; there != test.there {
			t.Errorf("%v: there after put: %t", test.fault.Kind, there)
		}
		m.Plant("a", []byte("content"))
		m.SetHook(FailFrom(2, test.fault))
		r, err := m.Get(t.Context(), "a", 0, -1)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		if !errors.Is(err, test.getErr) || string(got) != test.got {
			t.Errorf("%v: get: %q, %v", test.fault.Kind, got, err)
		}
		if m.Count() != 2 || m.Requests()[1] != (Request{Op: OpGet, Key: "a", N: 2}) {
			t.Errorf("%v: requests %v", test.fault.Kind, m.Requests())
		}
	}
}

func TestMemoryClone(t *testing.T) {
	m := NewMemory()
	m.Plant("a", []byte("x"))
	c := m.Clone()
	m.Drop("a")
	if len(m.Keys()) != 0 || string(c.Bytes("a")) != "x" {
		t.Errorf("original %q, clone %q", m.Keys(), c.Keys())
	}
	if err := NewRemover(c).Remove(t.Context(), "a"); err != nil || len(c.Keys()) != 0 {
		t.Errorf("remove: %v", err)
	}
}
