package main

import (
	"context"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/restore"
)

// coldView is the state of a repository's archives, and what they cost.
type coldView struct {
	*cold.Listing
	byID map[tarn.ArchiveID]cold.Object
	keys map[tarn.ArchiveID]string
	*money
}

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
	v.take(o, l)
	return nil
}

// take makes a listing the newest.
func (v *coldView) take(o *opened, l *cold.Listing) {
	v.Listing = l
	v.byID, v.keys = map[tarn.ArchiveID]cold.Object{}, map[tarn.ArchiveID]string{}
	for key, obj := range l.Objects {
		if id, err := o.ArchiveOf(key); err == nil {
			v.byID[id], v.keys[id] = obj, key
		}
	}
}

// ranks order what a content is read from. One that is being thawed comes
// before one that nobody has paid for yet.
var ranks = map[cold.State]int{cold.Warm: 0, cold.Thawed: 1, cold.Thawing: 2, cold.Frozen: 3}

// access says what restore may read. What is not listed is for it to find missing.
func (v *coldView) access(id tarn.ArchiveID) restore.Access {
	obj, ok := v.byID[id]
	if !ok {
		return restore.Access{Readable: true, Rank: len(ranks)}
	}
	return restore.Access{Readable: obj.Readable(), Rank: ranks[obj.State], Until: obj.Until}
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
