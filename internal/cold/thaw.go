package cold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
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
	// Look looks at the archives before the first request, since somebody may have
	// asked for them after the plan was made.
	Look bool
}

// Result is what a thaw asked for.
type Result struct {
	Requested int64 `json:"requested"` // archives whose thaw began, or whose copy lasts longer
	Bytes     int64 `json:"bytes"`     // of them
	// Refused are requests that S3 refused, and bills, since the archive is being
	// thawed in a tier that is no slower.
	Refused int64 `json:"refused"`
	// Running are archives that are being thawed already: those of Refused, and
	// those that were not asked for since a look showed them so, or since others
	// like them were refused.
	Running int64 `json:"running"`
	Gone    int64 `json:"gone"` // archives that are not in the storage any more
	// Unanswered are archives that were asked for, when an error ended it before the
	// answer came: S3 may have accepted that, and Usage counts them at their most.
	Unanswered int64 `json:"unanswered"`
	Left       int64 `json:"left"` // archives that were not asked for, after an error
	// Usage is what the bill counts of all that beside the requests, which the
	// storage's meter counts: what is retrieved, and the copies.
	Usage price.Usage `json:"-"`
}

// Thaw asks for the archives of a plan. The first request goes ahead alone: if
// the tier is refused, nothing is spent. An error ends it, and the result says
// what was asked for until then; the same command goes on with the rest, since
// a new plan leaves out what is thawing by then. tarn.ErrBusy is such an error:
// S3 has asked for fewer requests each time that one was tried again. So is the end
// of ctx. Nothing new is sent then, and what is on its way is waited for, as long as
// the storage does.
func (p *Plan) Thaw(ctx context.Context, s storage.Storage, o Options) (Result, error) {
	t := &thawing{plan: p, storage: s, opts: o}
	err := t.all(ctx)
	r := &t.result
	r.Left = int64(len(p.Ask)) - r.Requested - r.Running - r.Gone - r.Unanswered
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

// all asks for what nobody has asked for yet, and then for what is to come sooner.
func (t *thawing) all(ctx context.Context) error {
	var first, sooner []Archive
	for _, a := range t.plan.Ask {
		if a.State == Thawing {
			sooner = append(sooner, a)
		} else {
			first = append(first, a)
		}
	}
	if t.opts.Look && len(first) > 0 {
		var err error
		if first, err = t.look(ctx, first); err != nil {
			return err
		}
	}
	if err := t.first(ctx, first); err != nil {
		return err
	}
	return t.sooner(ctx, sooner)
}

// first asks for archives that were frozen, or thawed, at the last look. Where S3 says
// that one is being thawed, another run is asking as well: each such answer is
// billed, so another look comes before the rest. That has another order then, or both would
// ask for the same ones again.
func (t *thawing) first(ctx context.Context, rest []Archive) error {
	for len(rest) > 0 {
		asked, err := t.some(ctx, rest)
		rest = rest[asked:]
		if err != nil || len(rest) == 0 {
			return err
		}
		if rest, err = t.look(ctx, rest); err != nil {
			return err
		}
		rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	}
	return nil
}

// look leaves out what is being thawed by now, or readable that was not.
func (t *thawing) look(ctx context.Context, rest []Archive) ([]Archive, error) {
	l, err := List(ctx, t.storage, t.plan.Now)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(rest), func(a Archive) bool {
		now := l.Of(a.Key)
		done := now.State == Thawing || now.Readable() && (a.State != Thawed || now.Until.After(a.Until))
		if done {
			t.result.Running++
		}
		return done
	}), nil
}

// sooner asks for archives that are being thawed. S3 tells their tier nowhere but
// by refusing one that is no faster, which it bills, so the first refusal
// ends it. A run that was killed has asked for the first ones of them; hence it
// goes on from the other end once.
func (t *thawing) sooner(ctx context.Context, rest []Archive) error {
	slices.SortFunc(rest, func(a, b Archive) int { return cmp.Compare(a.Key, b.Key) })
	for range 2 {
		asked, err := t.some(ctx, rest)
		rest = rest[asked:]
		if err != nil || len(rest) == 0 {
			return err
		}
		slices.Reverse(rest)
	}
	t.result.Running += int64(len(rest))
	return nil
}

// some asks for archives in their order, for the first of them alone, until one is
// refused for being thawed already. It returns how many were asked for.
func (t *thawing) some(ctx context.Context, list []Archive) (asked int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	before := t.refusals()
	if err := t.one(ctx, list[0]); err != nil {
		return 1, err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	asked = 1
	for _, a := range list[1:] {
		if gctx.Err() != nil || t.refusals() > before {
			break
		}
		asked++
		group.Go(func() error {
			if gctx.Err() != nil {
				return nil // what ended the others is the error
			}
			return t.one(gctx, a)
		})
	}
	return asked, group.Wait()
}

func (t *thawing) refusals() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result.Refused
}

// one asks for one archive. Where the answer to an attempt was lost, and S3 tells the
// next one that the archive is being thawed, it was this run that has asked for it.
func (t *thawing) one(ctx context.Context, a Archive) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := t.storage.Thaw(ctx, a.Key, storage.ThawOptions{Days: t.plan.Days, Tier: t.opts.Tier, Class: a.Class})
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.result
	running, unanswered := errors.Is(err, tarn.ErrThawing), errors.Is(err, tarn.ErrUnanswered)
	switch {
	case err == nil, running && unanswered:
		r.Requested++
		r.Bytes += a.Size
		t.plan.thawing(&r.Usage, a, t.opts.Tier, usually)
	case running:
		r.Refused++
		r.Running++
	case errors.Is(err, fs.ErrNotExist):
		r.Gone++
	case unanswered:
		r.Unanswered++
		t.plan.thawing(&r.Usage, a, t.opts.Tier, atMost)
		return err
	default:
		return err
	}
	if t.opts.Progress != nil {
		t.opts.Progress(r.Requested + r.Running + r.Gone)
	}
	return nil
}
