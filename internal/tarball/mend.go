package tarball

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tarn-backup/tarn"
)

// mend takes an archive that is there as it is, but for what lies beside it: a
// list that a run did not come to write, and what a lifecycle rule has cooled. The disk has
// what the archive has, so that both follow from it.
func (j *job) mend(ctx context.Context, known MD5) error {
	j.mu.Lock()
	j.res.Unchanged++
	j.mu.Unlock()
	j.total()
	sum, list := j.there[j.key.Of(Sum).String()], j.there[j.key.Of(List).String()]
	cooled := sum.Class.Cold() // and thawed, or it would not be known
	listed := !list.Class.Cold() && !list.Modified.Before(sum.Modified) && list.Size == max(j.listed.lines, 1)
	if j.DryRun {
		j.event(Event{Kind: Unchanged})
		return nil
	}
	if !cooled && listed {
		confirmed, err := j.confirm(ctx)
		if err != nil {
			return err
		}
		j.event(Event{Kind: map[bool]EventKind{false: Unchanged, true: Confirmed}[confirmed]})
		return nil
	}
	if cooled {
		hash := FormatSum(known)
		if err := j.put(ctx, Sum, bytes.NewReader(hash), int64(len(hash))); err != nil {
			return err
		}
	}
	if err := j.listAgain(ctx); err != nil {
		return err
	}
	j.mu.Lock()
	j.res.Mended++
	j.mu.Unlock()
	j.event(Event{Kind: Mended})
	return nil
}

// listAgain stores the list of the files that are hashed.
func (j *job) listAgain(ctx context.Context) error {
	unread := j.unread()
	names := new(spool)
	defer names.close()
	p := j.newPass(false)
	for e, err := range j.source.Entries(ctx, j.split) {
		it := &item{entry: e, pass: p}
		if it.name = it.relative(); err == nil && e.Type == tarn.TypeFile && Listed(it.name) && !unread[it.name] {
			if err := names.add(it.name); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if names.size != j.listed.lines {
		j.problems = append(j.problems, problem{path: j.onDisk(j.dir), err: fmt.Errorf("the list of its files is not there, and they changed while it was made; the next run makes it")})
		return nil
	}
	return j.putList(ctx, names)
}
