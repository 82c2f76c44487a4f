package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage"
)

// coldView is the state of a repository's archives, and what they cost.
type coldView struct {
	*cold.Listing
	byID   map[tarn.ArchiveID]cold.Object // and those that are lost
	keys   map[tarn.ArchiveID]string
	stored map[tarn.ArchiveID]catalog.Object // as the indexes say
	// unpaid says that what costs retrieval is not to be read.
	unpaid bool
	*money
}

// time is what the server of a repository has for now: what is billed by the hour
// goes by its clock, where it tells one.
func (g *globals) time(o *opened) time.Time { return storage.TimeOf(o.Storage(), g.now()) }

// look looks at the archives of a repository in S3; nil for one in a folder,
// where nothing is ever cold.
func (g *globals) look(ctx context.Context, o *opened) (*coldView, error) {
	if !inS3(o.location) {
		return nil, nil
	}
	v := &coldView{money: g.money(o.Storage())}
	if v.why != nil && g.priceOf != "" {
		return nil, v.why
	}
	return v, v.again(ctx, g, o)
}

// again looks once more.
func (v *coldView) again(ctx context.Context, g *globals, o *opened) error {
	l, err := cold.List(ctx, o.Storage(), g.now())
	if err != nil {
		return err
	}
	return v.take(ctx, o, l)
}

// take makes a listing the newest, and finds those archives in it that are lost.
func (v *coldView) take(ctx context.Context, o *opened, l *cold.Listing) error {
	v.Listing = l
	if v.stored == nil {
		v.stored = map[tarn.ArchiveID]catalog.Object{}
	}
	v.byID, v.keys = map[tarn.ArchiveID]cold.Object{}, map[tarn.ArchiveID]string{}
	for key, obj := range l.Objects {
		if id, err := o.ArchiveOf(key); err == nil {
			v.byID[id], v.keys[id] = obj, key
		}
	}
	noted, err := o.contents.Objects()
	if err != nil {
		return err
	}
	for _, id := range o.contents.Archives() {
		want, ok := v.stored[id]
		if !ok {
			want = noted[id]
		}
		if obj := v.byID[id]; obj.State != "" && obj.Key == want.Key && obj.Size == want.Stored {
			v.stored[id] = want
			continue
		}
		// The note may be spoiled, or there is none: the index says what is right.
		ix, err := o.Index(ctx, id, nil)
		if ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			continue // nothing is known of it, which restoring from it says
		}
		v.stored[id] = catalog.Object{Key: ix.Key, Stored: ix.Layout.Stored}
		v.byID[id] = v.byID[id].Expect(ix.Key, ix.Layout.Stored)
	}
	return nil
}

// lost returns the needs whose archives are lost.
func (v *coldView) lost(needs []restore.Need) (list []restore.Need) {
	for _, n := range needs {
		if v.byID[n.Archive].Lost() {
			list = append(list, n)
		}
	}
	return list
}

// lostError says what is wrong with an archive that is lost.
func (v *coldView) lostError(id tarn.ArchiveID) error {
	switch obj := v.byID[id]; obj.State {
	case cold.Missing:
		return fmt.Errorf("archive %s is not in the repository any more: %w", id, tarn.ErrDamaged)
	case cold.Damaged:
		return fmt.Errorf("archive %s is frozen, and has %d bytes instead of %d: %w", id, obj.Size, v.stored[id].Stored, tarn.ErrDamaged)
	}
	return nil
}

// retrieves reports whether reading an archive costs by the byte, beside the transfer.
func (v *coldView) retrieves(obj cold.Object) bool {
	return v.prices != nil && obj.State == cold.Warm && !v.prices.Classes[obj.Class].Retrieval.Free()
}

// charges reports whether reading any archive does.
func (v *coldView) charges() bool {
	for _, obj := range v.Objects {
		if v.retrieves(obj) {
			return true
		}
	}
	return false
}

// ranks order what a content is read from. One that is being thawed comes
// before one that nobody has paid for yet.
var ranks = map[cold.State]int{cold.Warm: 0, cold.Thawed: 1, cold.Thawing: 2, cold.Frozen: 3}

// access says what restore may read. What is not listed is for it to find missing.
func (v *coldView) access(id tarn.ArchiveID) restore.Access {
	obj, ok := v.byID[id]
	if !ok || obj.Lost() {
		return restore.Access{Readable: true, Rank: len(ranks), Err: v.lostError(id)}
	}
	return restore.Access{Readable: obj.Readable() && !(v.unpaid && v.retrieves(obj)), Rank: ranks[obj.State], Until: obj.Until}
}

// archives are what is needed, as they are now.
func (v *coldView) archives(needs []restore.Need) (list []cold.Archive) {
	for _, n := range needs {
		if obj, ok := v.byID[n.Archive]; ok {
			list = append(list, cold.Archive{Object: obj, Gets: n.Gets, Fetched: n.Fetched})
		}
	}
	slices.SortFunc(list, func(a, b cold.Archive) int { return cold.Soonest(a.Object, b.Object) })
	return list
}

// whole is the need of all of an archive, by one request.
func (v *coldView) whole(id tarn.ArchiveID) restore.Need {
	return restore.Need{Archive: id, Gets: 1, Fetched: v.byID[id].Size}
}

// ends are the times at which what is needed ends to be readable, each once.
func (v *coldView) ends(needs []restore.Need) (ends []time.Time) {
	for _, a := range v.archives(needs) {
		if !a.Until.IsZero() && (len(ends) == 0 || !ends[len(ends)-1].Equal(a.Until)) {
			ends = append(ends, a.Until)
		}
	}
	if len(ends) > 0 && v.any(needs, cold.Warm) {
		ends = append(ends, time.Time{}) // which have time
	}
	return ends
}

// unreadable counts the files that need archives which can't be read now.
func (v *coldView) unreadable(needs []restore.Need) (files int64) {
	for _, n := range needs {
		if a := v.access(n.Archive); a.Err == nil && !a.Readable {
			files += n.Files
		}
	}
	return files
}

// any reports whether something of what is needed is in one of the states.
func (v *coldView) any(needs []restore.Need, states ...cold.State) bool {
	return slices.ContainsFunc(v.archives(needs), func(a cold.Archive) bool { return slices.Contains(states, a.State) })
}

// beside is what the command has used so far, of which a plan knows nothing.
func (v *coldView) beside() (price.Usage, error) {
	if v.meter == nil {
		return price.Usage{}, nil
	}
	return bill.Usage(v.meter.Metered())
}

// plan prices the reading of what is needed, and the thaw of what is frozen of it.
func (v *coldView) plan(needs []restore.Need, r cold.Request) (p *cold.Plan, err error) {
	r.Archives, r.Pages = v.archives(needs), v.Requests
	if r.Beside, err = v.beside(); err != nil {
		return nil, err
	}
	return cold.NewPlan(r, v.prices)
}
