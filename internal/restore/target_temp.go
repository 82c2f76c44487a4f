package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tarn-backup/tarn"
)

// tempPrefix begins the names that entries have until they are whole: the
// prefix, 8 hexadecimal digits of the run and 8 of a counter. They are short
// whatever the entry is called, since its name may have all 255 bytes.
const tempPrefix = ".tarn-"

// isTemp reports whether name has exactly the form of a temporary name.
func isTemp(name string) bool {
	digits, ok := strings.CutPrefix(name, tempPrefix)
	if !ok || len(digits) != 16 {
		return false
	}
	return strings.Trim(digits, "0123456789abcdef") == ""
}

// tempName returns a name that this run has not used.
func (t *Target) tempName() string {
	return fmt.Sprintf("%s%08x%08x", tempPrefix, t.run, t.temp.Add(1))
}

// ours reports whether name is a temporary one of this run.
func (t *Target) ours(name string) bool {
	return isTemp(name) && strings.HasPrefix(name[len(tempPrefix):], fmt.Sprintf("%08x", t.run))
}

// keep remembers that an entry's own name looks like a temporary one, so that
// the entry isn't swept away as the rest of a killed run.
func (t *Target) keep(path string) {
	if _, name := split(path); isTemp(name) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.kept[t.hash(path)] = struct{}{}
	}
}

// withTemp calls create with fresh temporary names until one is free, and
// returns it.
func (t *Target) withTemp(create func(tmp string) error) (tmp string, err error) {
	// A name of this run that is taken was put there by someone else, who
	// doesn't guess a hundred in a row without meaning to stop us.
	for range 100 {
		tmp = t.tempName()
		if err = create(tmp); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return tmp, err
}

// sweepOnce removes what a killed run left in the directory, the first time
// that this run is about to write to it.
func (t *Target) sweepOnce(h *handle) {
	key := t.hash(h.path)
	t.mu.Lock()
	_, done := t.made[key]
	if !done {
		_, done = t.swept[key]
		t.swept[key] = struct{}{}
	}
	t.mu.Unlock()
	if done {
		return
	}
	// What cannot be removed harms nothing but tidiness.
	if err := t.sweepDir(h); err != nil {
		t.opts.Logger.Debug("removing what a killed restore left", "dir", h.path, "error", err)
	}
}

func (t *Target) sweepDir(h *handle) error {
	var marks []string
	for name, err := range h.dir.names() {
		if err != nil {
			return err
		}
		if !isTemp(name) || t.ours(name) {
			continue
		}
		path := name
		if h.path != "" {
			path = h.path + "/" + name
		}
		t.mu.Lock()
		_, entry := t.kept[t.hash(path)]
		t.mu.Unlock()
		st, err := h.dir.stat(name)
		if entry || err != nil || st.typ == tarn.TypeDir {
			continue
		}
		if isMark(name) {
			marks = append(marks, name)
			continue
		}
		if err := h.dir.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range marks {
		if err := h.sweepMarked(name); err != nil {
			return err
		}
	}
	return nil
}
