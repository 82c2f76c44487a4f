package repo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"

	"github.com/tarn-backup/tarn"
)

// TreeWriter makes a tree from entries in order. The lines go into a file of
// the cache, compressed, since a tree can be larger than memory.
type TreeWriter struct {
	file   CacheFile
	marks  *MarkWriter
	zstd   *encoder
	hash   hash.Hash
	buf    []byte
	last   string
	size   int64
	counts Counts
}

// Tree is a finished tree that lies in the cache.
type Tree struct {
	ID     tarn.TreeID
	Size   int64 // of its lines
	Counts Counts
}

// NewTree begins a tree.
func (r *Repo) NewTree() (*TreeWriter, error) {
	f, err := r.cache.Create()
	if err != nil {
		return nil, fmt.Errorf("beginning a tree: %w", err)
	}
	m, err := r.NewMarks()
	if err != nil {
		return nil, errors.Join(err, f.Discard())
	}
	return &TreeWriter{file: f, marks: m, zstd: newEncoder(f), hash: r.key.newTreeHash()}, nil
}

// Add appends an entry, whose path must come after that of the one before.
func (w *TreeWriter) Add(e *tarn.Entry) error {
	if w.size > 0 && tarn.ComparePaths(w.last, e.Path) >= 0 {
		return fmt.Errorf("adding %.80q to a tree: it does not come after %.80q", e.Path, w.last)
	}
	w.last = e.Path
	w.counts.Add(e)
	w.marks.Add(e)
	w.buf = AppendEntry(w.buf[:0], e)
	w.size += int64(len(w.buf))
	w.hash.Write(w.buf)
	if _, err := w.zstd.Write(w.buf); err != nil {
		return fmt.Errorf("writing a tree: %w", err)
	}
	return nil
}

// Finish ends the tree and keeps it in the cache.
func (w *TreeWriter) Finish() (Tree, error) {
	t := Tree{ID: treeSum(w.hash), Size: w.size, Counts: w.counts}
	if err := w.zstd.Close(); err != nil {
		return t, errors.Join(fmt.Errorf("writing a tree: %w", err), w.file.Discard(), w.marks.Discard())
	}
	if err := w.file.Keep(treeName(t.ID)); err != nil {
		return t, errors.Join(err, w.marks.Discard())
	}
	return t, w.marks.Keep(t.ID)
}

// Discard gives the tree up.
func (w *TreeWriter) Discard() error {
	w.zstd.Close()
	return errors.Join(w.file.Discard(), w.marks.Discard())
}

// treeName is a tree's name in the cache.
func treeName(id tarn.TreeID) string { return treesPrefix + id.String() + ".jsonl.zst" }

// putTree stores a tree that lies in the cache. A tree of that name has its
// content, so one that is there already is as good.
func (r *Repo) putTree(ctx context.Context, id tarn.TreeID) error {
	f, err := r.cache.Open(treeName(id))
	if err != nil {
		return fmt.Errorf("reading tree %s from the cache: %w", id, err)
	}
	defer f.Close()
	if err := r.put(ctx, r.treeKey(id), f, 0); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("storing tree %s: %w", id, err)
	}
	return nil
}

// HasTree reports whether the tree lies in the cache.
func (r *Repo) HasTree(id tarn.TreeID) bool {
	f, err := r.cache.Open(treeName(id))
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// FetchTree brings the tree of a split into the cache, if it is not there,
// after its lines were found to have the id that the snapshot names.
func (r *Repo) FetchTree(ctx context.Context, sp Split) error {
	if err := r.fetchTree(ctx, sp); err != nil {
		return fmt.Errorf("tree %s of %q: %w", sp.Tree, sp.Path, err)
	}
	return nil
}

func (r *Repo) fetchTree(ctx context.Context, sp Split) error {
	if r.HasTree(sp.Tree) {
		return nil
	}
	verify := func(src io.Reader) error { return r.verifyTree(src, sp) }
	return r.fetch(ctx, r.treeKey(sp.Tree), treeName(sp.Tree), verify)
}

// verifyTree reads a compressed tree to its end and checks its id.
func (r *Repo) verifyTree(src io.Reader, sp Split) error {
	z, err := newDecoder(src)
	if err != nil {
		return err
	}
	defer z.Close()
	h := r.key.newTreeHash()
	if _, err := limitedCopy(h, z, min(sp.Size, maxTree)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, src); err != nil {
		return err
	}
	if treeSum(h) != sp.Tree {
		return fmt.Errorf("its lines do not have the hash in its name: %w", unsealable(r.key))
	}
	return nil
}

// Tree yields the entries of a split's tree, which it fetches if need be. The
// yielded pointer is valid until the next one. An error ends it: also one at
// the end, if the entries do not have the hash that the snapshot names.
func (r *Repo) Tree(ctx context.Context, sp Split) iter.Seq2[*tarn.Entry, error] {
	return func(yield func(*tarn.Entry, error) bool) {
		begun, cached := false, r.HasTree(sp.Tree)
		err := r.eachOf(ctx, sp, &begun, yield)
		if cached && errors.Is(err, tarn.ErrDamaged) {
			// It was right when it was put there, but may have been damaged
			// since: a power cut leaves files empty.
			err = errors.Join(fmt.Errorf("the cached copy is removed: %w", err), r.cache.Forget(treeName(sp.Tree)))
			if !begun {
				err = r.eachOf(ctx, sp, &begun, yield)
			}
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, fmt.Errorf("reading tree %s of %q: %w", sp.Tree, sp.Path, err))
		}
	}
}

var errStopped = errors.New("stopped")

// eachOf yields the entries of a tree, and says if it has begun to.
func (r *Repo) eachOf(ctx context.Context, sp Split, begun *bool, yield func(*tarn.Entry, error) bool) error {
	if err := r.fetchTree(ctx, sp); err != nil {
		return err
	}
	f, err := r.cache.Open(treeName(sp.Tree))
	if err != nil {
		return err
	}
	h := r.key.newTreeHash()
	err = eachEntry(ctx, f, sp, h, func(e *tarn.Entry) bool {
		*begun = true
		return yield(e, nil)
	})
	if err == nil && treeSum(h) != sp.Tree {
		err = fmt.Errorf("its lines do not have the hash in its name: %w", tarn.ErrDamaged)
	}
	return errors.Join(err, f.Close())
}

// eachEntry decodes a compressed tree, hashing its lines, and refuses entries
// that are out of order or lie outside of the split.
func eachEntry(ctx context.Context, src io.Reader, sp Split, h hash.Hash, yield func(*tarn.Entry) bool) error {
	z, err := newDecoder(src)
	if err != nil {
		return err
	}
	defer z.Close()
	var e tarn.Entry
	last := ""
	for line, err := range lines(io.TeeReader(io.LimitReader(z, min(sp.Size, maxTree)+1), h)) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := ParseEntry(line, &e); err != nil {
			return fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
		}
		if last != "" && tarn.ComparePaths(last, e.Path) >= 0 || !tarn.Within(e.Path, sp.Path) {
			return fmt.Errorf("%.80q does not belong after %.80q in %.80q: %w", e.Path, last, sp.Path, tarn.ErrDamaged)
		}
		last = e.Path
		if !yield(&e) {
			return errStopped
		}
	}
	return nil
}

// lines yields the lines of r without their newline; a line is valid until the
// next, and one over maxLine or a last one without a newline is an error.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 0, 64<<10), maxLine)
		s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
			if i := bytes.IndexByte(data, '\n'); i >= 0 {
				return i + 1, data[:i], nil
			}
			if atEOF && len(data) > 0 {
				return 0, nil, fmt.Errorf("last line is cut: %w", tarn.ErrDamaged)
			}
			return 0, nil, nil
		})
		for s.Scan() {
			if !yield(s.Bytes(), nil) {
				return
			}
		}
		if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(nil, fmt.Errorf("a line of over %d bytes: %w", maxLine, tarn.ErrDamaged))
		} else if err != nil {
			yield(nil, err)
		}
	}
}

func hex16(v uint64) string {
	return hex.EncodeToString([]byte{byte(v >> 56), byte(v >> 48), byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
