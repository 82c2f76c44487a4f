package repo

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/tarn-backup/tarn"
)

// Marks are what a look at a file tells, of each entry of a tree in order, in
// 8 bytes: a cached copy beside that of the tree, which a backup steps through in
// place of the tree as long as nothing has changed. Decoding the tree would
// cost more than all the rest of such a run.
//
// The file is marksMagic, a random seed, the marks, and the hash of all of it,
// since a cache is not synced. A mark is an xxHash of the entry behind the seed,
// so that nobody can make a change that has the mark of what was before; by
// accident one of 2^64 changes does.
type Marks struct {
	f    io.ReadCloser
	in   *bufio.Reader
	seed [8]byte
	left int64
	buf  []byte
}

const (
	marksMagic = "tarnmk1\n"
	markSize   = 8
	marksFrame = 3 * markSize // magic, seed and hash
)

var markReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

// marksName is the name of a tree's marks in the cache.
func marksName(id tarn.TreeID) string { return treesPrefix + id.String() + ".marks" }

// Marks returns the marks of a split's tree, or nil if this machine has none
// that are whole. The caller closes them.
func (r *Repo) Marks(sp Split) *Marks {
	entries := sp.Files + sp.Dirs + sp.Others
	if !r.wholeMarks(sp.Tree, entries) {
		return nil
	}
	f, err := r.cache.Open(marksName(sp.Tree))
	if err != nil {
		return nil
	}
	m := &Marks{f: f, in: markReaders.Get().(*bufio.Reader), left: entries}
	m.in.Reset(f)
	if _, err := m.in.Discard(len(marksMagic)); err == nil {
		_, err = io.ReadFull(m.in, m.seed[:])
		if err == nil {
			return m
		}
	}
	m.Close()
	return nil
}

// wholeMarks reads a file of marks to its hash at the end.
func (r *Repo) wholeMarks(id tarn.TreeID, entries int64) bool {
	f, err := r.cache.Open(marksName(id))
	if err != nil {
		return false
	}
	defer f.Close()
	in := markReaders.Get().(*bufio.Reader)
	defer markReaders.Put(in)
	in.Reset(f)
	if magic, err := in.Peek(len(marksMagic)); err != nil || string(magic) != marksMagic {
		return false
	}
	sum := xxhash.New()
	if _, err := io.CopyN(sum, in, marksFrame-markSize+entries*markSize); err != nil {
		return false
	}
	end, err := io.ReadAll(io.LimitReader(in, markSize+1))
	return err == nil && bytes.Equal(end, binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
}

// Next reports whether the next entry of the tree looks like e. Once it does
// not, the marks are of no more use.
func (m *Marks) Next(e *tarn.Entry) bool {
	if m.left == 0 {
		return false
	}
	m.left--
	b, err := m.in.Peek(markSize)
	if err != nil {
		return false
	}
	want := binary.LittleEndian.Uint64(b)
	m.in.Discard(markSize) // was just seen
	m.buf = appendLook(append(m.buf[:0], m.seed[:]...), e)
	return xxhash.Sum64(m.buf) == want
}

// Ended reports whether no entry of the tree is left.
func (m *Marks) Ended() bool { return m.left == 0 }

// Close ends the reading.
func (m *Marks) Close() {
	m.f.Close() // only read
	m.in.Reset(nil)
	markReaders.Put(m.in)
}

// appendLook appends all of an entry that a backup compares to find it unchanged.
func appendLook(b []byte, e *tarn.Entry) []byte {
	b = append(append(b, e.Path...), 0)
	b = append(append(b, e.Type...), 0)
	b = append(append(b, e.User...), 0)
	b = append(append(b, e.Group...), 0)
	for _, n := range [...]uint64{
		uint64(e.Size), uint64(e.MTime.Sec), uint64(e.CTime.Sec), e.Inode,
		uint64(uint32(e.MTime.Nsec))<<32 | uint64(uint32(e.CTime.Nsec)),
		uint64(e.UID)<<32 | uint64(e.GID), uint64(e.Major)<<32 | uint64(e.Minor), uint64(e.Mode),
	} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// MarkWriter makes the marks of a tree that is in the cache already. Exactly one of
// Keep and Discard ends it.
type MarkWriter struct {
	file CacheFile
	sum  *xxhash.Digest
	seed [8]byte
	buf  []byte
	err  error
}

// NewMarks begins marks.
func (r *Repo) NewMarks() (*MarkWriter, error) {
	f, err := r.cache.Create()
	if err != nil {
		return nil, fmt.Errorf("beginning the marks of a tree: %w", err)
	}
	w := &MarkWriter{file: f, sum: xxhash.New()}
	rand.Read(w.seed[:])
	w.write([]byte(marksMagic))
	w.write(w.seed[:])
	return w, nil
}

func (w *MarkWriter) write(b []byte) {
	w.sum.Write(b)
	if w.err == nil {
		_, w.err = w.file.Write(b)
	}
}

// Add appends the mark of an entry.
func (w *MarkWriter) Add(e *tarn.Entry) {
	w.buf = appendLook(append(w.buf[:0], w.seed[:]...), e)
	w.buf = binary.LittleEndian.AppendUint64(w.buf[:0], xxhash.Sum64(w.buf))
	w.write(w.buf)
}

// Keep keeps the marks as those of a tree.
func (w *MarkWriter) Keep(id tarn.TreeID) error {
	w.write(binary.LittleEndian.AppendUint64(nil, w.sum.Sum64()))
	if w.err != nil {
		return errors.Join(w.err, w.file.Discard())
	}
	return w.file.Keep(marksName(id))
}

// Discard gives the marks up.
func (w *MarkWriter) Discard() error { return w.file.Discard() }
