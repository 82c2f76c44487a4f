package backup

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
)

// store puts what is new of a changed entry into an archive, and completes
// e.Content. A lostError ends the run; any other is this file's problem.
func (p *packer) store(it *item) error {
	e := &it.entry
	switch {
	case e.Type == tarn.TypeDir:
		if it.old == nil || it.old.Type != tarn.TypeDir {
			p.pushDir(e)
		}
		return nil
	case e.Type == tarn.TypeSocket:
		return nil
	case e.Type == tarn.TypeFile && e.Size > 0:
		return p.storeFile(it)
	case it.old != nil && it.old.Type == e.Type && it.old.Size == 0 && it.old.Target == e.Target && it.old.Major == e.Major && it.old.Minor == e.Minor:
		return nil // only metadata changed
	}
	return p.small(e, nil)
}

func (p *packer) storeFile(it *item) error {
	e := &it.entry
	if it.planned {
		p.addNew(e.Size)
		p.plan(e)
		return nil
	}
	if !it.read {
		return nil // its content is the parent's
	}
	if p.out != nil && e.Inode != 0 {
		if done, err := p.out.link(e); done || err != nil {
			return lost(err)
		}
	}
	if it.data == nil && e.Content.IsZero() {
		return p.large(it)
	}
	if it.data == nil { // another name of a file that was read
		return nil
	}
	isNew, err := p.wanted(it)
	if err != nil || !isNew {
		return err
	}
	return p.small(e, it.data)
}

// wanted decides whether the content of e, whose hash is known, has to be stored.
func (p *packer) wanted(it *item) (bool, error) {
	e := &it.entry
	isNew, err := p.r.known.claim(e.Content)
	if err != nil || isNew || it.old == nil || it.old.Content == e.Content {
		return isNew, lost(err)
	}
	// The file has a known content again. If that lies in an older archive
	// under this very name, extracting archives in time order would end at the
	// content in between: it is stored once more.
	back, err := p.storedAs(e)
	return back, lost(err)
}

// storedAs reports whether the known content of e was stored under e's path,
// and another one after it.
func (p *packer) storedAs(e *tarn.Entry) (found bool, err error) {
	loc, known, err := p.r.known.find(e.Content)
	if err != nil || !known || loc.Archive == "" {
		return false, err
	}
	newest, ok, err := p.r.newest(p.ctx, e.Path)
	if err != nil || ok {
		return newest != beginning(e.Content), err
	}
	if loc.Archive.Time().After(p.r.result.Parent.Time()) {
		return false, nil // newer than the parent, under another path
	}
	return p.holds(loc.Archive, e)
}

// members are the contents of one archive, by a hash of path and content.
type members struct {
	archive tarn.ArchiveID
	seed    maphash.Seed
	set     map[uint64]struct{}
}

// holds reports whether the archive has the content of e under its path. It
// keeps what it read, since the next file as a rule asks for the same archive.
func (p *packer) holds(id tarn.ArchiveID, e *tarn.Entry) (bool, error) {
	m := &p.asked
	key := func(path string, h tarn.ContentHash) uint64 {
		return maphash.String(m.seed, path) ^ beginning(h)
	}
	if m.archive != id {
		*m = members{archive: id, seed: maphash.MakeSeed(), set: map[uint64]struct{}{}}
		_, err := p.r.Repo.Index(p.ctx, id, func(c repo.Content) error {
			m.set[key(c.Path, c.Hash)] = struct{}{}
			return nil
		})
		if err != nil && !unreadable(err) {
			return false, err
		}
	}
	_, ok := m.set[key(e.Path, e.Content)]
	return ok, nil
}

// small adds a member whose content, if any, is in memory.
func (p *packer) small(e *tarn.Entry, data []byte) error {
	p.addNew(int64(len(data)))
	if p.r.DryRun {
		p.plan(e)
		return nil
	}
	if err := p.room(e); err != nil {
		return lost(err)
	}
	return lost(p.out.add(e, data))
}

func (p *packer) addNew(n int64) {
	p.r.mu.Lock()
	p.r.result.NewBytes += n
	p.r.mu.Unlock()
}

// large streams a file that does not go through memory whole.
func (p *packer) large(it *item) error {
	var err error
	for try := range 2 { // each try may leave its bytes in the archive
		if try > 0 && p.ctx.Err() != nil {
			return lost(p.ctx.Err())
		}
		if err = p.largeOnce(it); !errors.Is(err, errChanged) {
			break
		}
	}
	return err
}

func (p *packer) largeOnce(it *item) error {
	e := &it.entry
	f, err := it.source.OpenFile(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	before, err := steady(f, e)
	if err != nil {
		return err
	}
	adopt(e, before)
	if e.Size == 0 {
		return p.small(e, nil)
	}
	if p.r.known.maybeKnown(e.Size) || p.r.DryRun {
		if done, err := p.largeKnown(it, f, before); done || err != nil {
			return err
		}
		if f, err = it.source.OpenFile(e.Path); err != nil {
			return err
		}
		defer f.Close()
	}
	if err := p.room(e); err != nil {
		return lost(err)
	}
	return p.stream(it, f, before)
}

// largeKnown reads a large file only to hash it, and reports whether there is
// nothing to store.
func (p *packer) largeKnown(it *item, f *scan.File, before *tarn.Entry) (done bool, err error) {
	e := &it.entry
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(p.interruptible(it, f), e.Size+1))
	if err != nil {
		return false, err
	}
	after, err := f.Stat()
	if err != nil {
		return false, err
	}
	if n != e.Size || !unmoved(before, &after) {
		return false, errChanged
	}
	h.Sum(e.Content[:0])
	isNew, err := p.isNew(it)
	if err != nil {
		return false, err
	}
	if isNew && p.r.DryRun {
		p.addNew(e.Size)
		p.plan(e)
	}
	if !isNew || p.r.DryRun {
		p.r.links.put(e)
		return true, nil
	}
	return false, nil
}

// isNew is wanted without the claim, which stream makes of what it read.
func (p *packer) isNew(it *item) (bool, error) {
	_, known, err := p.r.known.find(it.entry.Content)
	if err != nil || !known {
		return true, lost(err)
	}
	if it.old == nil || it.old.Content == it.entry.Content {
		return false, nil
	}
	back, err := p.storedAs(&it.entry)
	return back, lost(err)
}

// stream stores a large file from one read of it, hashing what it stores.
func (p *packer) stream(it *item, f *scan.File, before *tarn.Entry) error {
	e := &it.entry
	h := sha256.New()
	e.Content = tarn.ContentHash{}
	offset, err := p.out.w.Add(e, io.TeeReader(p.interruptible(it, f), h))
	var short *archive.ShortError
	if errors.As(err, &short) {
		if p.ctx.Err() != nil {
			return lost(p.ctx.Err())
		}
		if short.Err == nil || errors.Is(short.Err, io.EOF) || errors.Is(short.Err, io.ErrUnexpectedEOF) {
			return errChanged
		}
		return short.Err
	}
	if err != nil {
		return lost(err)
	}
	after, err := f.Stat()
	if err != nil {
		return err
	}
	if !unmoved(before, &after) {
		return errChanged
	}
	h.Sum(e.Content[:0])
	p.r.links.put(e)
	p.addNew(e.Size)
	if _, err := p.r.known.claim(e.Content); err != nil {
		return lost(err)
	}
	p.out.members++
	return lost(p.out.note(e, offset))
}

// interruptible ends a long read when the run is over, and shows its progress.
func (p *packer) interruptible(it *item, src io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if err := p.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := src.Read(b)
		it.shown += int64(n)
		p.r.Progress.bytes.Add(int64(n))
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// pushDir remembers a new directory until something in it is stored.
func (p *packer) pushDir(e *tarn.Entry) {
	p.popDirs(e.Path)
	p.dirs = append(p.dirs, newDir{entry: *e})
}

func (p *packer) popDirs(path string) {
	p.dirs = slices.DeleteFunc(p.dirs, func(d newDir) bool { return !tarn.Within(path, d.entry.Path) })
}

// room makes sure that an archive is open that has room for e, and that the
// new directories above e are in it.
func (p *packer) room(e *tarn.Entry) error {
	if p.out != nil && p.full(p.out.members, p.out.w.Size(), e) {
		if err := p.cut(); err != nil {
			return err
		}
	}
	if p.out == nil {
		out, err := p.r.open(p.ctx, p.split.Path, max(p.r.grown(), e.Size+memberSlack))
		if err != nil {
			return err
		}
		p.out = out
	}
	p.popDirs(e.Path)
	for i := range p.dirs {
		if d := &p.dirs[i]; !d.written {
			if err := p.out.add(&d.entry, nil); err != nil {
				return fmt.Errorf("adding the directory %q: %w", d.entry.Path, err)
			}
			d.written = true
		}
	}
	return nil
}

// full reports whether an archive with so many members and bytes of tar has no
// room for another one. There is room for the rest of the split, if that is little.
func (p *packer) full(members int, size int64, e *tarn.Entry) bool {
	switch {
	case members >= maxMembers:
		return true
	case size == 0 || size+e.Size+memberSlack <= p.r.ArchiveSize:
		return false
	}
	return p.rest == 0 || size+p.rest > p.r.grown()
}

// cut closes the open archive, if there is one.
func (p *packer) cut() error {
	p.cutPlan()
	if p.out == nil {
		return nil
	}
	out := p.out
	p.out = nil
	return out.close()
}
