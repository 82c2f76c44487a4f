package cold

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// parallel is how many requests are in flight. S3 takes 3,500 a second under
// one prefix and answers in some 30 ms; that many keep it at well over 500.
const parallel = 64

// Options say how a plan is carried out.
type Options struct {
	Tier storage.Tier
	// Progress, if set, is called with the number of archives asked for so far.
	Progress func(done int64)
}

// Result is what a thaw asked for.
type Result struct {
	Requested int64 `json:"requested"` // archives whose thaw began, or whose copy lasts longer
	Bytes     int64 `json:"bytes"`     // of them
	// Running are archives of which S3 says that they are being thawed in a
	// tier that is no slower.
	Running int64 `json:"running"`
	Gone    int64 `json:"gone"` // archives that are not in the storage any more
	Left    int64 `json:"left"` // archives that were not asked for, after an error
	// Usage is what the bill counts of all that beside the requests, which the
	// storage's meter counts: what is retrieved, and the copies.
	Usage price.Usage `json:"-"`
}

// Thaw asks for the archives of a plan. The first request goes ahead alone: if
// the tier is refused, nothing is spent. An error ends it, and the result says
// what was asked for until then; the same command goes on with the rest, since
// a new plan leaves out what is thawing by then. tarn.ErrBusy is such an error:
// S3 has asked for fewer requests each time that one was tried again.
func (p *Plan) Thaw(ctx context.Context, s storage.Storage, o Options) (Result, error) {
	t := &thawing{plan: p, storage: s, opts: o}
	err := t.all(ctx)
	t.result.Left = int64(len(p.Ask)) - t.result.Requested - t.result.Running - t.result.Gone
	if err == nil {
		err = ctx.Err()
	}
	if errors.Is(err, tarn.ErrTierRefused) {
		err = fmt.Errorf("%w (the storage says: %w)", p.refused(o.Tier), err)
	}
	if err != nil && t.result.Requested > 0 {
		err = fmt.Errorf("thawing, after %d of %d archives: %w", t.result.Requested, len(p.Ask), err)
	}
	return t.result, err
}

// thawing is a thaw in progress.
type thawing struct {
	plan    *Plan
	storage storage.Storage
	opts    Options

	mu     sync.Mutex
	result Result
}

func (t *thawing) all(ctx context.Context) error {
	ask := t.plan.Ask
	if len(ask) == 0 {
		return nil
	}
	if err := t.one(ctx, ask[0]); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, a := range ask[1:] {
		if gctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if gctx.Err() != nil {
				return nil // what ended the others is the error
			}
			return t.one(gctx, a)
		})
	}
	return group.Wait()
}

// one asks for one archive.
func (t *thawing) one(ctx context.Context, a Archive) error {
	err := t.storage.Thaw(ctx, a.Key, storage.ThawOptions{Days: t.plan.Days, Tier: t.opts.Tier, Class: a.Class})
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.result
	switch {
	case err == nil:
		r.Requested++
		r.Bytes += a.Size
		t.plan.thawing(&r.Usage, a, t.opts.Tier, usually)
	case errors.Is(err, tarn.ErrThawing):
		r.Running++
	case errors.Is(err, fs.ErrNotExist):
		r.Gone++
	default:
		return err
	}
	if t.opts.Progress != nil {
		t.opts.Progress(r.Requested + r.Running + r.Gone)
	}
	return nil
}
