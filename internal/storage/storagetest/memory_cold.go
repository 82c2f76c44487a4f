package storagetest

import (
	"context"
	"fmt"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Waits are how long thaws take in a Memory that has cold classes.
var Waits = map[tarn.Class]map[storage.Tier]time.Duration{
	tarn.Glacier:     {storage.Expedited: 5 * time.Minute, storage.Normal: 5 * time.Hour, storage.Bulk: 12 * time.Hour},
	tarn.DeepArchive: {storage.Normal: 12 * time.Hour, storage.Bulk: 48 * time.Hour},
}

// SetCold makes objects in cold classes cold from here on, by the clock of
// SetNow: they have to be thawed before they can be read.
func (m *Memory) SetCold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cold = map[string]thaw{}
}

// thaw is one of an object.
type thaw struct {
	tier          storage.Tier
	ready, expiry time.Time
}

// condition sets what a storage says of an object's thaw. The lock is held.
func (m *Memory) condition(o storage.Object) storage.Object {
	t, ok := m.cold[o.Key]
	switch now := m.now(); {
	case !ok || !now.Before(t.expiry):
	case now.Before(t.ready):
		o.Thawing = true
	default:
		o.Thawed = t.expiry
	}
	return o
}

// readable returns the error of reading an object. The lock is held.
func (m *Memory) readable(o storage.Object) error {
	if o = m.condition(o); m.cold != nil && o.Class.Cold() && o.Thawed.IsZero() {
		return fmt.Errorf("getting %s: %w", o.Key, tarn.ErrCold)
	}
	return nil
}

// Thaw implements storage.Storage. Without SetCold nothing is ever cold to a reader.
func (m *Memory) Thaw(ctx context.Context, key string, opts storage.ThawOptions) error {
	o, err := m.stat(ctx, OpThaw, key)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cold == nil || !o.Class.Cold() {
		return nil
	}
	now, wait, old := m.now(), Waits[o.Class], m.cold[key]
	lasting := time.Duration(opts.Days) * 24 * time.Hour
	o = m.condition(o)
	switch took, ok := wait[opts.Tier]; {
	case !o.Thawed.IsZero():
		old.expiry = now.Add(lasting)
		m.cold[key] = old
		return nil
	case !ok:
		return fmt.Errorf("thawing %s: %w", key, tarn.ErrTierRefused)
	case o.Thawing && took >= wait[old.tier]:
		return fmt.Errorf("thawing %s: %w", key, tarn.ErrThawing)
	default:
		ready := now.Add(took)
		m.cold[key] = thaw{opts.Tier, ready, ready.Add(lasting)}
		return nil
	}
}
