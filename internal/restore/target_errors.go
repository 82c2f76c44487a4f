package restore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
)

// Warning is a kind of metadata that could not be restored as it was, though
// the entries themselves are there: owners without being root, attributes that
// the target's file system doesn't know.
type Warning struct {
	What  string // "owner", "mode", "times", "xattr user"
	Path  string // of the first entry
	Count int64  // of entries, or of attributes
	Err   error  // of the first entry
}

// error says it in a sentence, with what to do; root says whether the user is root.
func (w Warning) error(root bool) error {
	others := ""
	if w.Count > 1 {
		others = fmt.Sprintf(", and of %d more", w.Count-1)
	}
	if w.What == "owner" && !root {
		return fmt.Errorf("the owner of this%s could not be set: what was restored belongs to you; run tarn as root to give it to whom it belonged (%v)", others, w.Err) // not wrapped: it has its advice
	}
	return fmt.Errorf("the %s of this%s could not be set: %w", w.What, others, w.Err)
}

type warnings struct {
	mu   sync.Mutex
	kind map[string]*Warning
}

// warnFunc takes note of metadata that could not be restored.
type warnFunc func(what string, err error)

func (t *Target) warner(path string) warnFunc {
	return func(what string, err error) {
		w := &t.warnings
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.kind == nil {
			w.kind = map[string]*Warning{}
		}
		if w.kind[what] == nil {
			w.kind[what] = &Warning{What: what, Path: path, Err: err}
		}
		w.kind[what].Count++
	}
}

// Warnings returns what could not be restored of metadata up to now, one for
// each kind, sorted by kind.
func (t *Target) Warnings() []Warning {
	w := &t.warnings
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Warning
	for _, k := range w.kind {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b Warning) int { return cmp.Compare(a.What, b.What) })
	return all
}

// fail says what was being done with which path, and what to do about an error
// that is the target's and not the entry's.
func (t *Target) fail(doing, path string, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok && err == error(p) {
		err = p.Err // its path is a temporary name
	}
	if path != "" {
		doing = fmt.Sprintf("%s %q", doing, path)
	}
	return t.explain(fmt.Errorf("%s: %w", doing, err))
}

func (t *Target) explain(err error) error {
	switch {
	case isNoSpace(err):
		return fmt.Errorf("%w (the file system of %q is full: free some space and restore again, which goes on where it stopped)", err, t.path)
	case isReadOnly(err):
		return fmt.Errorf("%w (the file system of %q is mounted read-only: remount it or choose another target)", err, t.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (restore as a user who may write to %q, or choose another target)", err, t.path)
	}
	return err
}
