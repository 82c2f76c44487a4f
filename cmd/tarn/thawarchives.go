package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/restore"
)

// thawArchives thaws archives by name, such as those that a rebuild has to read, or
// says how far that is.
func (g *globals) thawArchives(ctx context.Context, names []string, f thawFlags, status, dryRun bool) error {
	return g.with(ctx, func(o *opened) error {
		v, err := g.lookCold(ctx, o)
		if err != nil || v == nil {
			return err
		}
		needs, err := v.named(names)
		if err != nil {
			return err
		}
		if status {
			return g.thawStatus(ctx, o, v, needs)
		}
		return g.thawNeeds(ctx, o, v, f, needs, new(restore.Result), dryRun)
	})
}

// named are the whole archives with these names: keys, their last parts, or ids.
func (v *coldView) named(names []string) ([]restore.Need, error) {
	found := map[tarn.ArchiveID]restore.Need{}
	for _, name := range names {
		is := false
		for id, key := range v.keys {
			if name == key || name == path.Base(key) || name == string(id) {
				is = true
				found[id] = v.whole(id)
			}
		}
		if !is {
			return nil, hinted{fmt.Errorf("--archive %q: %w", name, errNoArchive), "`tarn thaw --status` lists those that are cold; `tarn rebuild` names those that it has to read."}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b restore.Need) int { return cmp.Compare(a.Archive, b.Archive) }), nil
}

var errNoArchive = errors.New("the repository has no such archive")
