package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tarn-backup/tarn"
)

var (
	errNotRegular  = errors.New("not a regular file")
	errUnknownType = errors.New("what it is, is unknown to tarn")
	errChanged     = errors.New("it became something else while it was looked at: run the backup again")
	errIgnoreSize  = fmt.Errorf("an ignore file of more than %d bytes", maxIgnoreFile)
)

const maxIgnoreFile = 4 << 20

const (
	cacheTag          = "CACHEDIR.TAG"
	cacheTagSignature = "Signature: 8a477f597d28d172789f06886806bc55"
)

// skippedDirs hold what a system keeps for itself: bins and indexes.
var skippedDirs = []string{"$RECYCLE.BIN", ".Trash-1000", "System Volume Information"}

// listing is what a directory holds: its names, without those that are left
// out, sorted. The entries follow in chunks.
type listing struct {
	names
	rel   string
	rules *rules      // for what is in the directory
	errs  []pathError // what went wrong, for the directory and its ignore file
	dirs  []uint32    // indices of names that are directories
	chunk int         // how many names make a chunk

	// Of ahead, under its lock:
	nextDir, nextName int     // first without a task, in dirs and in refs
	dirTasks          []*task // in order, those that the walk has not reached
	chunkTasks        []*task
}

// pathError is an error of one path below the root.
type pathError struct {
	rel string
	err error
}

func (l *listing) fail(rel string, err error) {
	l.errs = append(l.errs, pathError{rel, err})
}

// list reads the names of a directory. above are the rules of the directory that
// holds it; subdirs says whether its directories are wanted. With errManyNames it
// has more than limit names, and nothing was read.
func (s *Source) list(d dir, rel string, above *rules, subdirs bool, limit int) (*listing, error) {
	l := &listing{rel: rel, rules: above}
	if s.cfg.OneFileSystem {
		if device, err := d.device(); err != nil {
			l.fail(rel, err)
			return l, nil
		} else if device != s.device {
			return l, nil
		}
	}
	scratch := s.ahead.getNames()
	err := d.readNames(scratch, limit)
	if errors.Is(err, errManyNames) {
		s.ahead.putNames(scratch)
		return nil, err
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fail(rel, err)
	}
	l.names = *scratch
	if !s.keepTags(d, l) {
		s.loadRules(d, l)
	}
	s.filter(d, l, subdirs)
	l.sort(s.cfg.ByteOrder)
	*scratch = l.names
	l.names = s.ahead.settle(scratch)
	for i := range l.refs {
		if l.refs[i].kind == kindDir {
			l.dirs = append(l.dirs, uint32(i))
		}
	}
	// Paths of a chunk are one string: let it be about 64 KiB at most.
	l.chunk = max(16, min(512, 64<<10/(len(s.cfg.Name)+len(rel)+32)))
	return l, nil
}

// keepTags reduces the listing to the tags that say that the rest is left
// out, if there is one.
func (s *Source) keepTags(d dir, l *listing) bool {
	var tags []nameRef
	if s.cfg.ExcludeCaches {
		if i := l.find(cacheTag); i >= 0 {
			b, err := d.readFile(cacheTag, int64(len(cacheTagSignature)))
			if err == nil && string(b) == cacheTagSignature {
				tags = append(tags, l.refs[i])
			}
		}
	}
	found := len(tags) > 0
	for _, name := range s.cfg.ExcludeIfPresent {
		i := l.find(name)
		if i < 0 {
			continue
		}
		found = true
		same := func(r nameRef) bool { return r.off == l.refs[i].off }
		if !l.isDir(d, i) && !slices.ContainsFunc(tags, same) {
			tags = append(tags, l.refs[i])
		}
	}
	if found {
		l.refs = append(l.refs[:0], tags...)
	}
	return found
}

// loadRules puts the directory's ignore file, if it has one, before the rules from above.
func (s *Source) loadRules(d dir, l *listing) {
	if l.find(s.cfg.IgnoreFile) < 0 {
		return
	}
	r, err := s.readRules(d, l.rel, l.rules)
	if err != nil {
		l.fail(join(l.rel, s.cfg.IgnoreFile), err)
	}
	l.rules = r
}

// readRules reads the ignore file of an open directory; if there is none, the
// rules from above hold.
func (s *Source) readRules(d dir, rel string, above *rules) (*rules, error) {
	text, err := d.readFile(s.cfg.IgnoreFile, maxIgnoreFile+1)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotRegular):
		return above, nil
	case err != nil:
		return above, fmt.Errorf("reading the ignore file: %w", err)
	case len(text) > maxIgnoreFile:
		return above, errIgnoreSize
	}
	return newRules(rel, above, text), nil
}

// filter drops what is left out.
func (s *Source) filter(d dir, l *listing, subdirs bool) {
	check := len(s.excludes.patterns) > 0 || l.rules != nil
	path := []byte(l.rel)
	if l.rel != "" {
		path = append(path, '/')
	}
	base := len(path)
	kept := l.refs[:0]
	for i := range l.refs {
		isDir, name := l.isDir(d, i), l.at(i)
		if isDir && (!subdirs || !s.cfg.KeepSystem && slices.Contains(skippedDirs, string(name))) {
			continue
		}
		if check {
			path = append(path[:base], name...)
			if s.excluded(l.rules, path, base, isDir) {
				continue
			}
		}
		kept = append(kept, l.refs[i])
	}
	l.refs = kept
}

// item is an entry of a chunk, or why there is none.
type item struct {
	entry tarn.Entry // with its path in any case
	err   error
	dir   bool // the directory said that it is one: there is a task for it
	gone  bool // it was deleted before the stat
}

// chunk is a run of entries of a listing, in order.
type chunk struct{ items []item }

// fillChunk looks at the names from first on, as many as make a chunk. openErr says why
// the directory could not be opened, if so.
func (s *Source) fillChunk(d dir, openErr error, l *listing, first int) *chunk {
	last := min(first+l.chunk, len(l.refs))
	c := s.ahead.getChunk(last - first)
	dirPath := s.entryPath(l.rel)
	paths, off := s.paths(dirPath, l, first, last), 0
	memo := ownerMemo{names: s.names}
	for i := first; i < last; i++ {
		size := len(dirPath) + 1 + int(l.refs[i].size)
		it := &c.items[i-first]
		*it = item{dir: l.refs[i].kind == kindDir}
		it.entry.Path = paths[off : off+size]
		off += size
		err := openErr
		if err == nil {
			err = d.stat(l.zeroed(i), &it.entry)
		}
		if err == nil {
			memo.name(&it.entry)
		} else if errors.Is(err, fs.ErrNotExist) {
			it.gone = true
		} else {
			it.err = err
		}
	}
	return c
}

// paths returns the entry paths of names, one after the other: one
// allocation for all of them.
func (s *Source) paths(dir string, l *listing, first, last int) string {
	b := s.ahead.getPaths()
	defer s.ahead.putPaths(b)
	for i := first; i < last; i++ {
		*b = append(*b, dir...)
		*b = append(*b, '/')
		*b = append(*b, l.at(i)...)
	}
	return string(*b)
}
