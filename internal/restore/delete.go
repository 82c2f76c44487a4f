package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Excluder says what the backup has left out of a source: Delete spares it.
// Paths are below the source, which is "". scan.Excluder is one.
type Excluder interface {
	// Names are those of the entries that Enter reads, that of ignore files,
	// which may be empty, first.
	Names() []string
	// Enter takes note of what a directory says to leave out. read gives the
	// first limit bytes of a file in it, fs.ErrNotExist if there is none; with
	// a limit of 0, whether there is anything of that name.
	Enter(dir string, read func(name string, limit int64) ([]byte, error)) error
	// Excluded reports whether an entry is left out, if what leads to it isn't.
	Excluded(path string, dir bool) bool
	// Used reports whether Excluded said yes because of the ignore file of dir.
	Used(dir string) bool
}

// Reason says why Delete leaves something alone.
type Reason string

// The reasons.
const (
	Excluded Reason = "the backup left it out"
	Unread   Reason = "the backup could not read it"
	Mounted  Reason = "another file system is mounted there"
)

// deleter removes what the snapshot does not have.
type deleter struct {
	r    *run
	ctx  context.Context
	mu   sync.Mutex // while files are written, several may need a folder out of the way
	says map[string]*tarn.Entry
	lost map[string]bool // directories of which it isn't known what they leave out
	late []string        // ignore files to be removed last
	bad  []string        // paths that the backup could not read, sorted
}

// newDeleter reads which files of the snapshot say what was left out.
func (r *run) newDeleter(ctx context.Context) (*deleter, error) {
	d := &deleter{r: r, ctx: ctx, says: map[string]*tarn.Entry{}, lost: map[string]bool{}, bad: unreadPaths(r.Snapshot)}
	names := map[string]bool{}
	for _, x := range r.Excluders {
		for _, n := range x.Names() {
			names[n] = n != ""
		}
	}
	paths := slices.Clone(r.Paths)
	for _, p := range r.Paths {
		for up, _ := split(p); up != ""; up, _ = split(up) {
			for n := range names {
				paths = append(paths, up+"/"+n)
			}
		}
	}
	if len(names) == 0 {
		return d, nil
	}
	for e, err := range r.Repo.Entries(ctx, r.Snapshot, paths) {
		if err != nil {
			continue // the restore itself reports it, and nothing is deleted there
		}
		if _, name := split(e.Path); names[name] {
			c := *e
			d.says[e.Path] = &c
		}
	}
	return d, ctx.Err()
}

// unreadPaths sorts the paths that the backup could not read.
func unreadPaths(s *repo.Snapshot) (paths []string) {
	for _, e := range s.Errors {
		paths = append(paths, e.Path)
	}
	slices.SortFunc(paths, tarn.ComparePaths)
	return paths
}

// frame is a directory whose names are being collected.
type frame struct {
	path    string
	names   map[string]bool
	foreign bool // it lies on a file system that is mounted below the source
}

// all removes what is extra in the directories that were restored. It walks the
// snapshot once more, and keeps the names of the directories on the way to the
// current entry.
func (d *deleter) all() error {
	for _, sp := range d.r.Snapshot.Splits {
		if err := d.split(sp); err != nil {
			return err
		}
	}
	for _, path := range d.late {
		up, _ := split(path)
		if x, dir := d.excluder(up); x == nil || !x.Used(dir) {
			if _, err := d.remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *deleter) split(sp repo.Split) error {
	one := *d.r.Snapshot
	one.Splits = []repo.Split{sp}
	var stack []frame
	pop := func(path string) error {
		for n := len(stack); n > 0 && (path == "" || !tarn.Within(path, stack[n-1].path)); n = len(stack) {
			if err := d.in(stack[n-1]); err != nil {
				return err
			}
			stack = stack[:n-1]
		}
		return nil
	}
	for e, err := range d.r.Repo.Entries(d.ctx, &one, d.r.Paths) {
		if err != nil {
			return d.ctx.Err() // a tree that can't be read is no reason to delete
		}
		if err := pop(e.Path); err != nil {
			return err
		}
		if n := len(stack); n > 0 {
			stack[n-1].names[e.Path[len(stack[n-1].path)+1:]] = true
		}
		if e.Type != tarn.TypeDir {
			continue
		}
		f := frame{path: strings.Clone(e.Path), names: d.childSplits(e.Path)}
		if n := len(stack); n > 0 {
			f.foreign = stack[n-1].foreign || d.mounted(e.Path)
			d.enter(e.Path)
		} else {
			f.foreign = d.arrive(e.Path)
		}
		stack = append(stack, f)
	}
	return pop("")
}

// arrive enters a directory and all that lead to it, and reports whether it
// lies on a file system that is mounted below the source.
func (d *deleter) arrive(path string) (foreign bool) {
	for i := 0; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			up := path[:i]
			foreign = foreign || strings.Contains(up, "/") && d.mounted(up)
			d.enter(up)
		}
	}
	return foreign
}

// mounted is also true where it can't be found out.
func (d *deleter) mounted(path string) bool {
	mounted, err := d.r.target.Mounted(path)
	return mounted || err != nil
}

// childSplits names the directories directly in dir that are splits of their own.
func (d *deleter) childSplits(dir string) map[string]bool {
	names := map[string]bool{}
	for _, sp := range d.r.Snapshot.Splits {
		if up, name := split(sp.Path); up == dir {
			names[name] = true
		}
	}
	return names
}

// in removes what is extra in one directory of the snapshot.
func (d *deleter) in(f frame) error {
	names, err := d.r.target.Names(f.path)
	if err != nil {
		return d.r.settle(d.ctx, f.path, err)
	}
	for _, name := range names {
		if f.names[name] {
			continue
		}
		if f.foreign {
			d.r.left(f.path, Mounted)
			return nil
		}
		path := f.path + "/" + name
		if x, _ := d.excluder(f.path); x != nil && name == x.Names()[0] {
			d.late = append(d.late, path)
			continue
		}
		if _, err := d.remove(path); err != nil {
			return err
		}
	}
	return d.ctx.Err()
}

// remove removes what stands at a path, but for what was left out.
func (d *deleter) remove(path string) (left bool, err error) {
	how := Removal{
		DryRun: d.r.DryRun, Spare: d.spare, Removed: d.r.removed,
		Mounted: func(path string) { d.r.left(path, Mounted) },
		Problem: func(path string, err error) error { return d.r.settle(d.ctx, path, err) },
		Enter: func(dir string) error {
			if !d.enter(dir) {
				return errors.New("it is left as it is")
			}
			return d.ctx.Err()
		},
	}
	if x, _ := d.excluder(path); x != nil {
		how.Last = x.Names()[0]
	}
	left, err = d.r.target.Remove(path, how)
	return left, d.r.settle(d.ctx, path, err)
}

// clear makes way for an entry where a folder stands.
func (d *deleter) clear(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	up, _ := split(path)
	if up != "" && d.arrive(up) {
		return fmt.Errorf("%w, and it lies on another file system: move it away", ErrFilled)
	}
	left, err := d.remove(path)
	if err == nil && left {
		err = fmt.Errorf("%w, and some of it can't go (%s, %s, or it is a problem of its own): move it away", ErrFilled, Excluded, Mounted)
	}
	return err
}

func (d *deleter) spare(path string, dir bool) bool {
	if d.unread(path) {
		d.r.left(path, Unread)
		return true
	}
	up, name := split(path)
	x, below := d.excluder(up)
	if x == nil {
		return false
	}
	if d.isLost(up) || x.Excluded(strings.TrimPrefix(below+"/"+name, "/"), dir) || name == x.Names()[0] && x.Used(below) {
		d.r.left(path, Excluded)
		return true
	}
	return false
}

// unread reports whether the backup could not read the path, or something that
// leads to it or lies below it: that the snapshot does not have it then says
// nothing.
func (d *deleter) unread(path string) bool {
	if d.r.Snapshot.ErrorCount > len(d.bad) {
		return true // and which of them is not known
	}
	i, found := slices.BinarySearchFunc(d.bad, path, tarn.ComparePaths)
	if found || i < len(d.bad) && tarn.Within(d.bad[i], path) {
		return true
	}
	for up, _ := split(path); up != ""; up, _ = split(up) {
		if _, found := slices.BinarySearchFunc(d.bad, up, tarn.ComparePaths); found {
			return true
		}
	}
	return false
}

// excluder returns that of the source which a path lies in, nil if there is
// none, and the path below the source.
func (d *deleter) excluder(path string) (x Excluder, below string) {
	source, below, _ := strings.Cut(path, "/")
	return d.r.Excluders[source], below
}

// enter lets the excluder see a directory, and reports whether it could.
func (d *deleter) enter(dir string) bool {
	x, below := d.excluder(dir)
	if x == nil {
		return true
	}
	if d.isLost(dir) {
		return false
	}
	err := x.Enter(below, func(name string, limit int64) ([]byte, error) {
		return d.read(dir+"/"+name, limit)
	})
	if err != nil {
		d.lost[dir] = true
		d.r.problem(dir, fmt.Errorf("finding out what was left out there, so that nothing of it is removed: %w", err))
	}
	return err == nil
}

func (d *deleter) isLost(dir string) bool {
	if len(d.lost) == 0 {
		return false
	}
	for ; dir != ""; dir, _ = split(dir) {
		if d.lost[dir] {
			return true
		}
	}
	return false
}
