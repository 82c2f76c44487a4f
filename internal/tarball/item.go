package tarball

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

const (
	readBuffer = 256 << 10
	// inMemory is the size up to which a file is read before it is archived. It
	// can be read again if it changes then; a larger one is in the archive already.
	inMemory = 512 << 10
	// held bounds the bytes of such files that one archive has in hand.
	held = 8 << 20
	// itemsAhead is how many entries of an archive are in hand at most.
	itemsAhead = 256
	readTries  = 4
	// settle is how long a file has been left alone whose times tell of every
	// later write: a clock of two seconds is the coarsest that file systems have.
	settle = 2 * time.Second
	// calm is how long a changing file is left alone before it is read again.
	calm = 25 * time.Millisecond
)

var (
	errChanged = errors.New("it changed while it was read")
	errGone    = errors.New("gone") // deleted after the walk has seen it
	errLarge   = errors.New("large")
)

// item is an entry on its way into an archive or a hash.
type item struct {
	entry tarn.Entry
	name  string // relative to the archived directory; "" is that itself
	walk  error  // of the walk
	pass  *pass

	ahead   bool // it is a file that was read ahead, and:
	err     error
	sum     MD5
	data    []byte // its content, if the pass keeps that
	weight  int64  // of what it holds
	settled bool   // it may be remembered: no write after this reading can hide
	known   bool   // it was remembered, and not read
	ready   chan struct{}
}

// pass is one passage through the files of an archive.
type pass struct {
	*job
	keep   bool                // the content of small files
	large  bool                // large files are left to the consumer
	budget *semaphore.Weighted // of bytes of content
	old    *remembered         // nil, or what is known of files that look the same
	free   chan *item
}

func (j *job) newPass(archive bool) *pass {
	return &pass{job: j, keep: archive, large: archive, budget: semaphore.NewWeighted(held), free: make(chan *item, itemsAhead)}
}

// each yields the entries of the archived directory in the order of the list.
// Files are read ahead, side by side. An item is valid for one step.
func (p *pass) each(ctx context.Context) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		ahead := make(chan *item, itemsAhead)
		go func() {
			defer close(ahead)
			p.produce(ctx, ahead)
		}()
		ended := false
		for it := range ahead { // to its end, so that no reader has an item of it
			<-it.ready
			if !ended {
				ended = !yield(it, nil)
			}
			if ended {
				cancel()
			}
			p.recycle(it)
		}
		cause := ctx.Err()
		cancel()
		if !ended && cause != nil {
			yield(nil, cause)
		}
	}
}

func (p *pass) recycle(it *item) {
	if it.weight > 0 {
		p.budget.Release(it.weight)
	}
	*it = item{data: it.data[:0], ready: it.ready}
	select {
	case p.free <- it:
	default:
	}
}

func (p *pass) item() *item {
	select {
	case it := <-p.free:
		return it
	default:
		return &item{ready: make(chan struct{}, 1)}
	}
}

// produce walks, and has files read.
func (p *pass) produce(ctx context.Context, ahead chan<- *item) {
	for e, err := range p.source.Entries(ctx, p.split) {
		it := p.item()
		it.entry, it.walk, it.pass = e, err, p
		it.name = it.relative()
		read := err == nil && e.Type == tarn.TypeFile && p.wants(it)
		it.ahead = read
		if read && p.keep {
			if p.budget.Acquire(ctx, e.Size) != nil {
				return
			}
			it.weight = e.Size
		}
		if !read {
			it.ready <- struct{}{}
		}
		select {
		case ahead <- it:
		case <-ctx.Done():
			return
		}
		if read {
			p.work <- it
		}
	}
}

// wants reports whether a file is to be read ahead: it is not if nothing of it
// has to be read, or if the consumer reads it.
func (p *pass) wants(it *item) bool {
	if sum, ok := p.old.find(it.name, &it.entry); ok && !p.large {
		it.sum, it.settled, it.known = sum, true, true
		p.Progress.bytes.Add(it.entry.Size)
		return false
	}
	return !p.large || it.entry.Size <= inMemory && it.entry.Inode == 0
}

func (it *item) relative() string {
	name := it.entry.Path
	if top := it.pass.split.Path; len(name) > len(top) {
		return name[len(top)+1:]
	}
	return ""
}

// read reads a file ahead: its hash, and its content if that is kept. It is
// read again if it changes.
func (r *run) read(it *item, buf []byte) {
	for try := 1; ; try++ {
		it.err = r.readOnce(it, buf)
		if it.err != errChanged || try == readTries {
			return
		}
		r.Progress.bytes.Add(-it.entry.Size)
		time.Sleep(calm)
	}
}

func (r *run) readOnce(it *item, buf []byte) error {
	f, err := r.open(&it.entry)
	if err != nil {
		return err
	}
	defer f.Close()
	it.data = it.data[:0]
	if it.pass.keep && it.entry.Size > inMemory {
		return errLarge
	}
	sum := md5.New()
	var n int64
	for n <= it.entry.Size { // one that grows all the time has no end
		m, err := f.Read(buf)
		n += int64(m)
		m -= int(max(0, n-it.entry.Size))
		r.Progress.bytes.Add(int64(m))
		sum.Write(buf[:m])
		if it.pass.keep {
			it.data = append(it.data, buf[:m]...)
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	sum.Sum(it.sum[:0])
	return r.unchanged(f, it, n)
}

// open opens a file, and takes what it is by now into its entry.
func (r *run) open(e *tarn.Entry) (*scan.File, error) {
	r.opened.Add(1)
	at := relative(e.Path)
	r.Progress.current.Store(&at)
	f, err := r.source.OpenFile(e.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	} else if err != nil {
		return nil, err
	}
	now, err := f.Opened()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	now.Path = e.Path
	*e = now
	return f, nil
}

// unchanged compares a file that was read with what it was before.
func (r *run) unchanged(f *scan.File, it *item, read int64) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !same(&now, &it.entry) || read != it.entry.Size {
		return errChanged
	}
	it.settled = older(r.Now(), &now, settle)
	return nil
}

func same(a, b *tarn.Entry) bool { return a.Size == b.Size && a.MTime == b.MTime && a.CTime == b.CTime }

func older(now time.Time, e *tarn.Entry, than time.Duration) bool {
	before := tarn.TimespecOf(now.Add(-than))
	less := func(t tarn.Timespec) bool {
		return t.Sec < before.Sec || t.Sec == before.Sec && t.Nsec < before.Nsec
	}
	return less(e.MTime) && less(e.CTime)
}

// stays reports whether an error is of this one file, which is left out then.
// Any other may mean that the disk is going, and an archive of what is left of it
// must not take the place of a whole one.
func stays(err error) bool { return errors.Is(err, fs.ErrPermission) }

func (p *pass) leftOut(it *item, err error) error {
	if err == errGone {
		return nil
	}
	if !stays(err) || p.keep && p.archived() && !p.WithoutUnreadable && !p.cleared[it.name] {
		// Also what could be read a moment ago: whether the archive has it was not asked.
		return fmt.Errorf("it is left as it is in the bucket: %w", err)
	}
	p.problems = append(p.problems, problem{path: p.onDisk(relative(it.entry.Path)), err: err, unread: true, name: it.name})
	return nil
}
