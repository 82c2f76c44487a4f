package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

var (
	errChanged  = errors.New("changed while it was read")
	errReplaced = errors.New("became something else while it was read")
)

const (
	readTries = 4
	// settle is how long a file has to be left alone before it is read, for
	// its times to tell of every later write: kernels stamp files with a clock
	// that ticks every 4 to 10 ms.
	settle = 25 * time.Millisecond
)

// startReaders starts the readers that all splits share; they end when jobs is closed.
func (r *run) startReaders() *sync.WaitGroup {
	var pool sync.WaitGroup
	for range readers {
		pool.Go(func() {
			for it := range r.jobs {
				it.err = r.read(it)
				close(it.ready)
			}
		})
	}
	return &pool
}

// read completes an entry: link target and xattrs, and content and hash of a small file.
func (r *run) read(it *item) error {
	e := &it.entry
	if e.Type == tarn.TypeFile && e.Size > 0 {
		h, ok := r.links.get(e)
		if !ok && e.Size < smallFile {
			return r.readContent(it)
		}
		e.Content = h // zero for a large file, which the packer reads
	}
	return r.complete(e, it.source.Complete)
}

// complete fills in link target and xattrs. Only a file that is gone is an
// error: one whose xattrs can't be read is backed up without, and reported.
func (r *run) complete(e *tarn.Entry, fill func(*tarn.Entry) error) error {
	err := fill(e)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.problem(e.Path, fmt.Errorf("reading its metadata: %w", err))
	return nil
}

// readContent reads and hashes a small file.
func (r *run) readContent(it *item) error {
	e := &it.entry
	var err error
	for try := range readTries {
		if try > 0 {
			time.Sleep(settle << try)
		}
		if it.data, err = r.readSmall(it.source, e, it.buffer); err == nil {
			r.links.put(e)
			return nil
		}
		if !errors.Is(err, errChanged) {
			break
		}
	}
	return err
}

// readSmall reads a file at one moment: what stat says of it is the same before
// and after, and says so of a time that has passed. e takes what stat says.
func (r *run) readSmall(s *scan.Source, e *tarn.Entry, buffer []byte) ([]byte, error) {
	f, err := s.OpenFile(e.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := steady(f, e)
	if err != nil {
		return nil, err
	}
	if before.Size >= smallFile { // it grew: the packer streams it
		adopt(e, before)
		return nil, nil
	}
	if before.Size >= int64(len(buffer)) { // it grew beyond what was set aside for it
		buffer = make([]byte, before.Size+1)
	}
	data := buffer[:before.Size+1]
	// With as many bytes as the file had there is no need to ask for its end: stat tells whether it grew.
	n, err := io.ReadAtLeast(f, data, max(int(before.Size), 1))
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if err := r.complete(e, f.Complete); err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if int64(n) != before.Size || !unmoved(before, &after) {
		return nil, errChanged
	}
	adopt(e, before)
	e.Content = tarn.ContentHash{}
	if n > 0 {
		e.Content = sha256.Sum256(data[:n])
	}
	return data[:n], nil
}

// steady returns what stat says of a file that was just opened, whose last change is so old
// that a further one would show.
func steady(f *scan.File, e *tarn.Entry) (*tarn.Entry, error) {
	look := f.Opened
	for range readTries {
		st, err := look()
		if err != nil {
			return nil, err
		}
		if st.Type != tarn.TypeFile {
			return nil, errReplaced
		}
		changed := st.MTime
		if c := st.CTime; c.Sec > changed.Sec || c.Sec == changed.Sec && c.Nsec > changed.Nsec {
			changed = c
		}
		age := time.Since(changed.Time())
		if age >= settle || age < -settle { // a time in the future says nothing
			return &st, nil
		}
		time.Sleep(settle - age)
		look = f.Stat
	}
	return nil, errChanged
}

func unmoved(a, b *tarn.Entry) bool {
	return a.Size == b.Size && a.MTime == b.MTime && a.CTime == b.CTime
}

// adopt takes over what stat said of the descriptor that was read.
func adopt(e, st *tarn.Entry) {
	e.Mode, e.UID, e.GID, e.User, e.Group = st.Mode, st.UID, st.GID, st.User, st.Group
	e.MTime, e.CTime, e.Size, e.Inode, e.Sparse = st.MTime, st.CTime, st.Size, st.Inode, st.Sparse
}

// wait returns when a reader has finished with the item.
func (it *item) wait(ctx context.Context) error {
	if !it.read {
		return nil
	}
	select {
	case <-it.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
