package restore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-backup/tarn"
)

// directAfter is how many files a directory gets before further ones are made
// under their own names: for fewer, a mark costs more than it saves.
const directAfter = 16

// mark stands in a directory that this run has made while files in it are made
// under their own names, which costs less than to make them without one and link
// them. Their content has been checked by then; the mark says which ones are being written, so
// that the next run sweeps away what a killed one has left half written. It is
// locked: another restore does not take this one for killed.
type mark struct {
	fd    int
	name  string
	born  info   // what a file of the directory is born with, but for its mode
	umask uint32 // that takes from its mode

	mu   sync.Mutex
	busy [markSlots]bool
}

// A mark has slots of a name each, filled up with zeros.
const (
	markSlots = 16
	slotSize  = 256
)

// take returns a free slot; false if there is none.
func (m *mark) take() (slot int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slot = slices.Index(m.busy[:], false)
	if slot >= 0 {
		m.busy[slot] = true
	}
	return slot, slot >= 0
}

func (m *mark) give(slot int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy[slot] = false
}

// begun returns the names in a mark.
func begun(content []byte) (names []string) {
	for slot := range slices.Chunk(content, slotSize) {
		name, _, _ := strings.Cut(string(slot), "\x00")
		if name != "" && name != "." && name != ".." && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	return names
}

// markSuffix ends the name of a mark; no other temporary name has it.
const markSuffix = "00000000"

// WriteFile makes the file of e with its whole content: as Create, Write and
// Commit do, with the same errors, and faster.
func (t *Target) WriteFile(e *tarn.Entry, content []byte) error {
	if err := rightContent(e, int64(len(content)), sha256.Sum256(content)); err != nil {
		return err
	}
	t.keep(e.Path)
	if done, err := t.direct(e, content); done {
		return t.fail("writing", e.Path, err)
	}
	f, err := t.Create(e)
	if err != nil {
		return err
	}
	f.hash = nil // it is right
	if _, err := f.Write(content); err != nil {
		f.Abort()
		return err
	}
	return f.Commit()
}

// rightContent returns an error unless size and hash are those of e's content.
func rightContent(e *tarn.Entry, size int64, sum tarn.ContentHash) error {
	if size != e.Size {
		return fmt.Errorf("writing %q: content has %d bytes, %d were recorded: %w", e.Path, size, e.Size, tarn.ErrDamaged)
	}
	if size == 0 {
		sum = tarn.ContentHash{} // an empty file has none
	}
	if sum != e.Content {
		return fmt.Errorf("writing %q: content has SHA-256 %s, %s was recorded: %w", e.Path, sum, e.Content, tarn.ErrDamaged)
	}
	return nil
}

// direct makes the file under its own name if its directory takes that; if not,
// nothing was done.
func (t *Target) direct(e *tarn.Entry, content []byte) (done bool, err error) {
	if e.Sparse {
		return false, nil
	}
	h, name, err := t.parent(e.Path, true)
	if err != nil {
		return false, nil // Create says what is wrong
	}
	defer t.release(h)
	m := t.marked(h)
	if m == nil {
		return false, nil
	}
	slot, ok := m.take()
	if !ok {
		return false, nil
	}
	defer m.give(slot)
	err = h.dir.direct(m, slot, name, e, content, t.warner(e.Path))
	if err == nil || isNoSpace(err) || isReadOnly(err) {
		return true, err
	}
	return false, nil
}

// marked returns the mark of a directory in which files may be made under their
// own names, nil for any other.
func (t *Target) marked(h *handle) *mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, made := t.made[t.hash(h.path)]; !made || !h.bare || h.path == "" {
		return nil
	}
	if h.files++; h.files == directAfter+1 {
		m, err := h.dir.mark(fmt.Sprintf("%s%08x%s", tempPrefix, t.run, markSuffix))
		if err != nil {
			t.opts.Logger.Debug("marking a directory", "path", h.path, "error", err)
			return nil
		}
		h.mark = m
	}
	return h.mark
}

// isMark reports whether name is that of a mark.
func isMark(name string) bool { return isTemp(name) && strings.HasSuffix(name, markSuffix) }

// sweepMarked removes what a killed run was writing under its own name, and then
// its mark. Where that run goes on, it does nothing.
func (h *handle) sweepMarked(name string) error {
	content, killed := h.dir.abandoned(name)
	if !killed {
		return nil
	}
	for _, half := range begun(content) {
		st, err := h.dir.stat(half)
		if err != nil || st.typ != tarn.TypeFile {
			continue
		}
		if err := h.dir.remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return h.dir.remove(name)
}
