package tarball

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
)

// job is the work on one archive.
type job struct {
	*run
	split    scan.Split
	dir      string // relative to the path, "" at the top
	key      Key
	listed   content // the files that the script knows
	unlisted content
	upper    int64           // the most that an archive of them takes
	hashed   bool            // the files were read before there is an archive
	problems []problem       // of the last passage
	cleared  map[string]bool // what can't be read, and the archive that is there lacks
}

// content is what a passage has found.
type content struct {
	files, bytes int64
	lines        int64 // bytes of the list of them
	hash         *Hasher
}

func newContent() content { return content{hash: NewHasher()} }

// problem is a file that can't be backed up as it is.
type problem struct {
	path   string
	err    error
	unread bool   // it may not be read, and
	name   string // is called so in the archive
}

func (r *run) newJob(sp scan.Split, rel string) *job {
	j := &job{run: r, split: sp, dir: rel, key: Key{Name: r.Name, Dir: rel, OwnFiles: !sp.Recursive}}
	if r.SplitDepth == 0 {
		j.key.Dir = r.base
	}
	return j
}

func (r *run) onDisk(rel string) string { return filepath.Join(r.path, filepath.FromSlash(rel)) }

// event tells what happens to the archive.
func (j *job) event(e Event) {
	e.Path, e.Key, e.Own, e.File = j.onDisk(j.dir), j.key.String(), j.key.OwnFiles, j.key.Kind == File
	if e.Files == 0 {
		e.Files = j.listed.files + j.unlisted.files
	}
	j.Event(e)
}

// do brings one archive up to date. What goes wrong with it, and may not with
// others, is a problem; an error ends the run.
func (j *job) do(ctx context.Context) error {
	local, err := j.step(ctx)
	if errors.Is(err, tarn.ErrKey) {
		local, err = fmt.Errorf("%w (rename the folder, or use another split depth)", err), nil
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case local == nil:
		for _, p := range j.problems {
			err := p.err
			if p.unread {
				err = fmt.Errorf("left out: %w", err)
			}
			j.problem(p.path, err)
		}
		return nil
	}
	for _, p := range j.problems {
		if p.unread {
			j.problem(p.path, fmt.Errorf("can't be read: %w", p.err))
		}
	}
	j.mu.Lock()
	j.res.Failed++
	j.mu.Unlock()
	j.event(Event{Kind: Failed, Err: local})
	j.problem(j.onDisk(j.dir), local)
	return nil
}

// step does the work. It reads files once if the archive has to be made anyway.
func (j *job) step(ctx context.Context) (local, err error) {
	if local := j.key.check(); local != nil {
		return local, nil
	}
	if local := j.key.ambiguous(); local != nil && j.SplitDepth > 0 {
		return local, nil
	}
	j.event(Event{Kind: Listing})
	known, err := j.known(ctx)
	if errors.Is(err, tarn.ErrCold) {
		return fmt.Errorf("whether its archive is up to date is not known, since its hash has gone cold with it: let no lifecycle rule move %s, and thaw it by `tarn tarball thaw`; the next run stores it in STANDARD again: %w", SumSuffix, err), nil
	} else if err != nil {
		return nil, err
	}
	if known == nil && !j.archived() {
		local = j.look(ctx)
	} else {
		local = j.compare(ctx)
	}
	if local != nil {
		return local, nil
	}
	switch {
	case j.listed.files+j.unlisted.files == 0:
		j.mu.Lock()
		j.res.Empty++
		j.empty[j.key] = true
		j.mu.Unlock()
		j.event(Event{Kind: Empty})
		return nil, nil
	case known != nil:
		same, err := j.same(ctx, *known)
		if err != nil {
			return nil, err
		}
		if same {
			return nil, j.mend(ctx, *known)
		}
	}
	if local, err := j.keeps(ctx); local != nil || err != nil {
		return local, err
	}
	return j.upload(ctx)
}

// archived reports whether there is an archive already.
func (j *job) archived() bool {
	_, ok := j.there[j.key.Of(Archive).String()]
	return ok
}

// known returns the hash beside the archive; nil if there is none, or no archive,
// or if it does not say what the archive has: one that is older is that of another.
// The order of a run makes it newer, or as old where times are whole seconds.
func (j *job) known(ctx context.Context) (*MD5, error) {
	archive, ok := j.there[j.key.Of(Archive).String()]
	if !ok {
		return nil, nil
	}
	key := j.key.Of(Sum).String()
	sum, ok := j.there[key]
	if !ok {
		return nil, nil
	}
	if sum.Modified.Before(archive.Modified) {
		j.event(Event{Kind: Unknown, Err: errOldSum})
		return nil, nil
	}
	m, err := j.readSum(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, ErrNoSum), errors.Is(err, tarn.ErrDamaged):
		j.event(Event{Kind: Unknown, Err: fmt.Errorf("what is in its %s is none: %w", SumSuffix, err)})
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &m, nil
}

var errOldSum = errors.New("its " + SumSuffix + " is older than it")

func (j *job) readSum(ctx context.Context, key string) (m MD5, err error) {
	body, err := j.Storage.Get(ctx, key, 0, -1)
	if err != nil {
		return m, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, 1<<10))
	if err != nil {
		return m, err
	}
	return ParseSum(b)
}

// look counts what is there, without reading it.
func (j *job) look(ctx context.Context) error {
	p := j.newPass(false)
	p.reset()
	for e, err := range j.source.Entries(ctx, j.split) {
		it := &item{entry: e, walk: err, pass: p}
		it.name = it.relative()
		if err != nil {
			if err := p.leftOut(it, err); err != nil {
				return err
			}
			continue
		}
		if p.take(it); e.Type == tarn.TypeFile && !Listed(it.name) && !j.DryRun {
			// The archive says what the list does not, which is to be known before.
			return j.compare(ctx)
		}
	}
	j.found()
	return ctx.Err()
}

func (j *job) found() {
	if n := j.listed.files + j.unlisted.files; n > 0 {
		j.event(Event{Kind: Found, Bytes: j.listed.bytes + j.unlisted.bytes})
	}
}

// reset begins a passage.
func (p *pass) reset() {
	p.listed, p.unlisted, p.upper, p.problems = newContent(), newContent(), archiveEnd, nil
}

// take counts an entry.
func (p *pass) take(it *item) {
	p.upper += memberBound(it)
	if it.entry.Type != tarn.TypeFile {
		return
	}
	c := &p.listed
	if !Listed(it.name) {
		c = &p.unlisted
	}
	c.files++
	c.bytes += it.entry.Size
	c.lines += int64(len(it.name)) + 1
}

// add puts a file that was read into the hash.
func (p *pass) add(it *item) {
	if Listed(it.name) {
		p.listed.hash.Add(it.name, it.sum)
	} else {
		p.unlisted.hash.Add(it.name, it.sum)
	}
	p.Progress.files.Add(1)
}

// compare makes the hash of what is there.
func (j *job) compare(ctx context.Context) error {
	p := j.newPass(false)
	p.reset()
	j.hashed = true
	j.event(Event{Kind: Hashing})
	memory := j.memory()
	defer memory.close()
	p.old = memory.old
	for it, err := range p.each(ctx) {
		if err != nil {
			return err
		}
		if err := it.wrong(); err != nil {
			if err := p.leftOut(it, err); err != nil {
				return err
			}
			continue
		}
		p.take(it)
		if it.entry.Type == tarn.TypeFile {
			p.add(it)
			memory.keep(it)
		}
	}
	j.found()
	j.event(Event{Kind: Hashed, Hash: j.listed.hash.Sum()})
	j.forgets(memory.save())
	return nil
}

// wrong is why an item can't be hashed. One that changes all the time has the
// hash of what was read: the archive it is in tells the problem.
func (it *item) wrong() error {
	if it.walk != nil {
		return it.walk
	}
	if it.err == errChanged {
		return nil
	}
	return it.err
}

// unlistedName is where an archive says in its metadata how many files it has
// beside those of its list, and the hash over them.
const unlistedName = "tarn-unlisted"

func (j *job) unlistedText() string {
	if j.unlisted.files == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", j.unlisted.files, j.unlisted.hash.Sum())
}

// same reports whether the archive that is there has what was found.
func (j *job) same(ctx context.Context, known MD5) (bool, error) {
	if !j.listed.hash.Is(known) {
		return false, nil
	}
	if j.unlisted.files == 0 {
		return true, nil
	}
	in, err := j.over.Inspect(ctx, j.key.Of(Archive).String())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return err == nil && in.Metadata[unlistedName] == j.unlistedText(), nil
}

// total adds what the archive has to the result.
func (j *job) total() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.res.Files += j.listed.files + j.unlisted.files
	j.res.Bytes += j.listed.bytes + j.unlisted.bytes
}

// put stores one of the objects beside the archive.
func (j *job) put(ctx context.Context, kind Kind, body io.Reader, size int64) error {
	_, err := j.over.Overwrite(ctx, j.key.Of(kind).String(), body, storage.PutOptions{MaxSize: size, Acknowledged: j.acknowledged})
	return err
}

func (r *run) acknowledged(n int64) { r.Progress.stored.Add(n) }
