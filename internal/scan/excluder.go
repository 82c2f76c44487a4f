package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Excluder says what a backup leaves out of a source, by the rules of the walk,
// to one who walks the source by other means. Paths are relative to the
// source's root, which is "". It is for one goroutine at a time.
type Excluder struct {
	s    Source // of its fields only cfg and excludes are set
	bins []string
	dirs map[string]*excluderDir
	used map[*rules]bool
}

// excluderDir is a directory that has a say in what is left out below it.
type excluderDir struct {
	rules  *rules // of its ignore file, linked to those above; those above alone if it has none
	own    bool   // it has an ignore file
	tagged bool   // all of its content is left out
}

// NewExcluder returns what cfg leaves out; Path, Name, SplitDepth and
// OneFileSystem do not matter.
func NewExcluder(cfg Config) *Excluder {
	x := PatternExcluder(cfg.Excludes)
	x.s.cfg, x.bins = cfg, skippedDirs
	return x
}

// PatternExcluder returns what the patterns leave out, and nothing else: not
// even the folders that a system keeps for itself, which each walk skips.
func PatternExcluder(patterns []string) *Excluder {
	x := &Excluder{dirs: map[string]*excluderDir{}, used: map[*rules]bool{}}
	x.s.excludes.patterns = compilePatterns(patterns)
	return x
}

// Enter takes note of what a directory itself says to leave out. It comes after
// Enter of the directory above and before Excluded of what is in it; a second
// call changes nothing. read gives the first limit bytes of a regular file in
// the directory, and fs.ErrNotExist if there is none of that name; with a limit
// of 0 it gives nothing of an entry of any type.
func (x *Excluder) Enter(dir string, read func(name string, limit int64) ([]byte, error)) error {
	if _, ok := x.dirs[dir]; ok {
		return nil
	}
	d := excluderDir{rules: x.above(dir)}
	var err error
	if d.tagged, err = x.tagged(read); err != nil {
		return err
	}
	if x.s.cfg.IgnoreFile != "" {
		text, err := read(x.s.cfg.IgnoreFile, maxIgnoreFile+1)
		switch {
		case err == nil && len(text) > maxIgnoreFile:
			return errIgnoreSize // the walk has left out nothing for it, but who knows what it was to
		case err == nil:
			d.rules, d.own = newRules(dir, d.rules, text), true
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("reading the ignore file: %w", err)
		}
	}
	if d.own || d.tagged {
		x.dirs[dir] = &d
	}
	return nil
}

// tagged reports whether the directory has a tag that leaves its content out.
func (x *Excluder) tagged(read func(name string, limit int64) ([]byte, error)) (bool, error) {
	if x.s.cfg.ExcludeCaches {
		b, err := read(cacheTag, int64(len(cacheTagSignature)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("reading %s: %w", cacheTag, err)
		}
		if string(b) == cacheTagSignature {
			return true, nil
		}
	}
	for _, name := range x.s.cfg.ExcludeIfPresent {
		if _, err := read(name, 0); err == nil {
			return true, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// above returns the rules that hold in a directory without an ignore file.
func (x *Excluder) above(dir string) *rules {
	for dir != "" {
		dir, _ = cut(dir)
		if d := x.dirs[dir]; d != nil {
			return d.rules
		}
	}
	return nil
}

// Excluded reports whether an entry is left out, provided that the directories
// that lead to it are not.
func (x *Excluder) Excluded(path string, dir bool) bool {
	up, name := cut(path)
	if dir && slices.Contains(x.bins, name) {
		return true
	}
	r := x.above(path)
	if d := x.dirs[up]; d != nil && d.tagged {
		return true
	}
	rel, base := []byte(path), len(path)-len(name)
	if excluded, decided := x.s.excludes.verdict(rel, base, dir); decided {
		return excluded
	}
	for ; r != nil; r = r.above {
		if excluded, decided := r.verdict(rel, base, dir); decided {
			x.used[r] = x.used[r] || excluded
			return excluded
		}
	}
	return false
}

// Used reports whether the ignore file of a directory has made Excluded say yes.
func (x *Excluder) Used(dir string) bool {
	d := x.dirs[dir]
	return d != nil && d.own && x.used[d.rules]
}

// Names returns the names of the entries that Enter asks for: first that of
// ignore files, which may be empty, then those of tags.
func (x *Excluder) Names() []string {
	names := []string{x.s.cfg.IgnoreFile}
	if x.s.cfg.ExcludeCaches {
		names = append(names, cacheTag)
	}
	return append(names, x.s.cfg.ExcludeIfPresent...)
}
