package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
)

// tarballWait are the flags of commands that read tarballs, which may be cold.
type tarballWait struct {
	thawFlags
	waitFlags
}

func (f *tarballWait) register(fl *pflag.FlagSet) {
	f.waitFlags.register(fl, "two LIST requests for 1,000 objects")
	f.thawFlags.register(fl)
}

func (f *tarballWait) check() error {
	if err := f.waitFlags.check(); err != nil {
		return err
	}
	return f.thawFlags.check()
}

// tarballJob reads tarballs that may be cold: it shows the price, thaws if that
// is accepted, works through what can be read, and says what is left.
type tarballJob struct {
	*globals
	view   *tarballView
	flags  tarballWait
	paths  []string // that are wanted of the one tarball; none means everything
	dryRun bool
	left   []chosen
	// more, if set, says what else the job costs beside a plan, and whether it may go on.
	more func(p *cold.Plan) error
	// do reads one. Its problems are its own to print; errProblems says that there were some.
	do func(ctx context.Context, c chosen) error
	// report, if set, sums up in the end.
	report func()
	usage  price.Usage // of thaws, beside their requests
	acted  bool
	ahead  []chosen // what is still to be read, after the one that is
}

func (j *tarballJob) run(ctx context.Context) error {
	err := j.all(ctx)
	if j.report != nil && !j.dryRun && (err == nil || err == errProblems) {
		j.report()
	}
	if !j.acted {
		return err
	}
	if spentErr := j.spent(j.view.coldView, &j.usage); err == nil || err == errProblems {
		err = errors.Join(spentErr, err)
	}
	return err
}

func (j *tarballJob) all(ctx context.Context) error {
	if len(j.left) == 0 {
		return nil
	}
	if err := j.plan(ctx); err != nil || j.dryRun {
		return err
	}
	problems := false
	for {
		bad, err := j.readable(ctx)
		if err != nil {
			return err
		}
		problems = problems || bad
		switch {
		case len(j.left) == 0 && problems:
			return errProblems
		case len(j.left) == 0:
			return nil
		case !j.flags.wait || !j.any(cold.Thawing):
			return j.comeBack()
		}
		if err := j.waitFor(ctx); err != nil {
			return err
		}
	}
}

// plan shows what is needed and what it costs, and thaws what is frozen if that is
// accepted.
func (j *tarballJob) plan(ctx context.Context) error {
	v := j.view
	p, err := v.plan(j.left, cold.Request{Days: j.flags.days, Now: v.clock(), Faster: j.flags.faster})
	if err != nil {
		return err
	}
	if j.any(cold.Frozen, cold.Thawing, cold.Thawed) || j.dryRun {
		if err := j.show(ctx, p); err != nil {
			return err
		}
	}
	if j.more != nil {
		if err := j.more(p); err != nil {
			return err
		}
	}
	if j.dryRun {
		return nil
	}
	offer, err := j.accept(v.coldView, p, j.flags.thawFlags)
	if err == nil && len(p.Ask) == 0 {
		err = j.acceptReading(v.coldView, p, j.flags.thawFlags)
	}
	if err != nil || len(p.Ask) == 0 {
		return err
	}
	j.acted = true
	if _, err := j.thawBy(ctx, v.thawer(j.left), p, offer, false, &j.usage); err != nil {
		return err
	}
	return j.again()
}

// affordAgain refuses to read a tarball a second time if that costs more than
// --max-cost together with what was spent and what is still to be read.
func (j *tarballJob) affordAgain(c chosen) error {
	if j.flags.maxCost == "" {
		return nil
	}
	u, err := j.view.beside()
	if err != nil {
		return err
	}
	u.Add(j.usage)
	r := cold.Request{Archives: needs(append(slices.Clone(j.ahead), c)), Ready: true}
	for i := range r.Archives {
		if a := &r.Archives[i]; a.State == cold.Thawing {
			a.State = cold.Thawed // when it is read
		}
	}
	p, err := cold.NewPlan(r, j.view.prices)
	if err != nil {
		return err
	}
	u.Add(p.Offers[0].Usage)
	bill, err := p.Bill(u)
	if err != nil {
		return err
	}
	if err := j.flags.within(j.view.coldView, cold.Offer{Most: bill}); err != nil {
		return fmt.Errorf("that was not written, and to read the tarball a second time is too much: in all %w; allow more, or restore that file, too", err)
	}
	return nil
}

// show says what is asked for, and what that costs. A thaw for something that the
// list does not have would be paid for in vain, most likely.
func (j *tarballJob) show(ctx context.Context, p *cold.Plan) error {
	v := j.view
	files, bytes, err := v.counted(ctx, j.left)
	if err != nil {
		return err
	}
	var absent []string
	if len(j.paths) > 0 {
		if files, absent, err = j.asked(ctx, files); err != nil {
			return err
		}
	}
	if err := j.showPlan(v.coldView, p, files, bytes); err != nil || len(absent) == 0 || j.dryRun || j.flags.yes || len(p.Ask) == 0 {
		return err
	}
	title := printable(j.left[0].title(v))
	return hinted{
		fmt.Errorf("not in the list of %s: %s; nothing was asked for or spent", title, strings.Join(absent, ", ")),
		fmt.Sprintf("`tarn tarball ls %s` prints what is. Links and empty folders are in no list: with --yes the tarball is thawed all the same.", title),
	}
}

// asked counts the files that are asked for, and says which PATHs the list does not
// have. Where there is no list, that is not known.
func (j *tarballJob) asked(ctx context.Context, all int64) (files int64, absent []string, err error) {
	t := j.left[0].tarball
	if t.List == nil {
		return all, nil, nil
	}
	files, found, err := t.Asked(ctx, j.view.s, j.paths)
	if errors.Is(err, tarn.ErrDamaged) {
		return all, nil, nil
	}
	for i, p := range j.paths {
		if err != nil || found[i] {
			continue
		}
		absent = append(absent, printable(p))
		if j.json {
			err = j.printJSON(map[string]any{"type": "not_listed", "tarball": t.Title(), "path": p})
		} else {
			j.say("%s: is not in the list of %s, which has no links and no empty folders", printable(p), printable(t.Title()))
		}
	}
	return files, absent, err
}

// again looks at what is left once more.
func (j *tarballJob) again() error {
	if err := j.view.look(); err != nil {
		return err
	}
	j.left = j.view.current(j.left)
	return nil
}

func (j *tarballJob) any(states ...cold.State) bool {
	return slices.ContainsFunc(j.left, func(c chosen) bool { return slices.Contains(states, c.State) })
}

// readable works through what can be read, what ends first first.
func (j *tarballJob) readable(ctx context.Context) (problems bool, err error) {
	slices.SortStableFunc(j.left, func(a, b chosen) int { return cold.Soonest(a.Object.Object, b.Object.Object) })
	var later []chosen
	for i, c := range j.left {
		if !c.Readable() {
			later = append(later, c)
			continue
		}
		j.acted, j.ahead = true, slices.Concat(j.left[i+1:], later)
		switch err := j.do(ctx, c); {
		case err == errProblems:
			problems = true
		case err != nil:
			return problems, err
		}
	}
	j.left = later
	return problems, nil
}

// waitFor waits until something more can be read.
func (j *tarballJob) waitFor(ctx context.Context) error {
	n := int64(0)
	for _, c := range j.left {
		if c.State == cold.Thawing {
			n++
		}
	}
	j.say("waiting for %s, looking every %s; it can be ended and run again", formatCount(n, "archive", "archives"), formatDuration(j.flags.poll))
	keys := make([]string, 0, len(j.left))
	for _, c := range j.left {
		keys = append(keys, c.Key)
	}
	w := &cold.Waiter{Every: j.flags.poll, Now: j.globals.now, Look: func(context.Context) (*cold.Listing, error) {
		if err := j.again(); err != nil {
			return nil, err
		}
		l := &cold.Listing{Objects: map[string]cold.Object{}}
		for _, c := range j.left {
			l.Objects[c.Key] = c.Object.Object
		}
		return l, nil
	}}
	_, err := w.Wait(ctx, keys)
	return err
}

// comeBack says what is not there yet, and what to do.
func (j *tarballJob) comeBack() error {
	var frozen, thawing int64
	for _, c := range j.left {
		switch c.State {
		case cold.Thawing:
			thawing++
		case cold.Frozen:
			frozen++
		}
	}
	if j.json {
		if err := j.printJSON(map[string]any{"type": "waiting", "thawing": thawing, "frozen": frozen}); err != nil {
			return err
		}
		return errProblems
	}
	if frozen > 0 || thawing == 0 {
		fmt.Fprintf(j.stderr, "tarn: some tarballs are frozen, or were frozen again on the way\n      The same command says what it costs to thaw them.\n")
	}
	if thawing > 0 {
		fmt.Fprintf(j.stderr, "tarn: not all is there yet: %s being thawed\n      Run the same command again then: it goes on with what is ready. `tarn tarball thaw --status` says how far it is.\n", are(thawing))
	}
	return errProblems
}
