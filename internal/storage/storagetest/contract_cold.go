package storagetest

import (
	"errors"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// RunCold is the contract of a storage with cold classes, whose clock advance
// moves.
func RunCold(t *testing.T, open func(t *testing.T) (s storage.Storage, advance func(time.Duration))) {
	t.Run("a life", func(t *testing.T) {
		s, advance := open(t)
		c := coldContract{t, s}
		put(t, s, "cold/a", []byte("content"), storage.PutOptions{Class: tarn.DeepArchive})
		c.is(tarn.DeepArchive, false, false)
		c.thaw(storage.Bulk, nil)
		c.is(tarn.DeepArchive, true, false)
		c.thaw(storage.Bulk, tarn.ErrThawing)
		advance(49 * time.Hour)
		c.is(tarn.DeepArchive, false, true)
		advance(24 * time.Hour)
		c.thaw(storage.Bulk, nil) // lasts longer
		advance(36 * time.Hour)
		c.is(tarn.DeepArchive, false, true)
		advance(48 * time.Hour)
		c.is(tarn.DeepArchive, false, false) // over
		c.thaw(storage.Normal, nil)
		c.is(tarn.DeepArchive, true, false)
	})
	t.Run("a faster tier", func(t *testing.T) {
		s, advance := open(t)
		c := coldContract{t, s}
		put(t, s, "cold/a", []byte("content"), storage.PutOptions{Class: tarn.Glacier})
		c.thaw(storage.Normal, nil)
		c.thaw(storage.Bulk, tarn.ErrThawing)
		c.thaw(storage.Expedited, nil)
		advance(10 * time.Minute)
		c.is(tarn.Glacier, false, true)
	})
	t.Run("a tier that there is not", func(t *testing.T) {
		s, _ := open(t)
		c := coldContract{t, s}
		put(t, s, "cold/a", []byte("content"), storage.PutOptions{Class: tarn.DeepArchive})
		c.thaw(storage.Expedited, tarn.ErrTierRefused)
		c.is(tarn.DeepArchive, false, false)
	})
}

type coldContract struct {
	t *testing.T
	s storage.Storage
}

// thaw asks for a copy that lasts two days.
func (c coldContract) thaw(tier storage.Tier, want error) {
	c.t.Helper()
	if err := c.s.Thaw(c.t.Context(), "cold/a", storage.ThawOptions{Days: 2, Tier: tier}); !errors.Is(err, want) {
		c.t.Errorf("thaw in %s: %v, want %v", tier, err, want)
	}
}

// is requires that Stat, List and Get agree on the state of the object.
func (c coldContract) is(class tarn.Class, thawing, thawed bool) {
	c.t.Helper()
	agree := func(by string, o storage.Object, err error) {
		c.t.Helper()
		if err != nil || o.Key != "cold/a" || o.Class != class || o.Thawing != thawing || o.Thawed.IsZero() == thawed {
			c.t.Errorf("%s: %+v, %v; want thawing %t, thawed %t", by, o, err, thawing, thawed)
		}
	}
	o, err := c.s.Stat(c.t.Context(), "cold/a")
	agree("stat", o, err)
	n := 0
	for o, err := range c.s.List(c.t.Context(), "cold/") {
		agree("list", o, err)
		n++
	}
	if n != 1 {
		c.t.Errorf("list: %d objects", n)
	}
	if thawed {
		wantContent(c.t, c.s, "cold/a", []byte("content"))
	} else if _, err := get(c.t, c.s, "cold/a", 0, -1); !errors.Is(err, tarn.ErrCold) {
		c.t.Errorf("get: %v, want %v", err, tarn.ErrCold)
	}
}
