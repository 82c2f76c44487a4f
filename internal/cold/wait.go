package cold

import (
	"context"
	"time"

	"github.com/tarn-backup/tarn/internal/storage"
)

// Waiter waits for thaws by looking at the archives now and then, which is one
// request for 1,000 of them.
type Waiter struct {
	Storage storage.Storage
	Every   time.Duration
	Now     func() time.Time
	// Sleep is how it waits; nil means by the system's clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Look makes a listing; nil means List of the Storage.
	Look func(ctx context.Context) (*Listing, error)
	// Looked, if set, is called with each listing.
	Looked func(*Listing)
}

// Wait returns a listing as soon as one of the archives can be read, or none of
// them is being thawed any more.
func (w *Waiter) Wait(ctx context.Context, keys []string) (*Listing, error) {
	for {
		l, err := w.look(ctx)
		if err != nil {
			return nil, err
		}
		if w.Looked != nil {
			w.Looked(l)
		}
		thawing := false
		for _, key := range keys {
			o := l.Of(key)
			if o.Readable() {
				return l, nil
			}
			thawing = thawing || o.State == Thawing
		}
		if !thawing {
			return l, nil
		}
		sleep := w.Sleep
		if sleep == nil {
			sleep = pause
		}
		if err := sleep(ctx, w.Every); err != nil {
			return nil, err
		}
	}
}

func (w *Waiter) look(ctx context.Context) (*Listing, error) {
	if w.Look != nil {
		return w.Look(ctx)
	}
	return List(ctx, w.Storage, w.Now())
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
