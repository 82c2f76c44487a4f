package backup

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// output is an archive that is being written, through a pipe, to the commit. The
// commit hears of it when the buffer before the pipe is full, or at its end: until
// then it may turn out to be too small for the class that was asked for.
type output struct {
	r       *run
	ctx     context.Context // of the split; an output lives no longer
	archive *repo.Archive
	begun   bool // the commit has it
	id      tarn.ArchiveID
	w       *archive.Writer
	buf     *bufio.Writer
	pipe    *io.PipeWriter
	index   *repo.IndexWriter
	list    []stretch
	members int
	first   map[linkKey]string // members with several names
	done    chan struct{}
	ix      *repo.Index
	err     error
}

// stretch is where a content lies in the archive that is being written.
type stretch struct {
	hash         tarn.ContentHash
	offset, size int64
}

// open begins an archive of the split with at most size bytes of tar.
func (r *run) open(ctx context.Context, split string, size int64) (*output, error) {
	id := tarn.ArchiveID(r.newID())
	index, err := r.Repo.NewIndex(id, split)
	if err != nil {
		return nil, err
	}
	read, write := io.Pipe()
	o := &output{
		r: r, ctx: ctx, id: id, pipe: write, index: index,
		first: map[linkKey]string{}, done: make(chan struct{}),
	}
	o.buf = bufio.NewWriterSize(o, smallArchive)
	o.w, err = archive.NewWriter(o.buf, archive.WriterConfig{Level: r.Level, Recipients: r.Repo.ObjectRecipients(), Workers: r.workers})
	if err != nil {
		return nil, errors.Join(err, index.Discard())
	}
	o.archive = &repo.Archive{
		ID: id, Key: r.Repo.ArchiveKey(split, id), MaxSize: bound(size), Body: read,
		Index: func() (*repo.Index, error) {
			<-o.done
			return o.ix, o.err
		},
		Stored: o.stored,
	}
	return o, nil
}

// smallArchive is the size in bytes up to which an archive is held until it ends:
// then its size is known before its upload begins. For a larger one another class
// would save less than a thousandth of a cent in a year (GLACIER_IR instead of GLACIER,
// in us-east-1, up to 2.9 MiB); DEEP_ARCHIVE pays off from 943 KiB on.
const smallArchive = 1 << 20

// Write implements io.Writer, behind the buffer.
func (o *output) Write(b []byte) (int, error) {
	if err := o.begin(o.r.Class); err != nil {
		return 0, err
	}
	return o.pipe.Write(b)
}

// begin gives the archive to the commit, in a class that stays.
func (o *output) begin(class tarn.Class) error {
	if o.begun {
		return nil
	}
	o.begun = true
	o.archive.Class = class
	select {
	case o.r.archives <- o.archive:
		return nil
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
}

// classOf is the class of an archive that ends at so many bytes.
func (r *run) classOf(size int64) tarn.Class {
	if size > smallArchive || r.ClassOf == nil {
		return r.Class
	}
	return r.ClassOf(size)
}

// bound is the size in bytes that an archive with so much tar can't exceed:
// headers of members at its end, blocks of zstd and chunks of age.
func bound(size int64) int64 { return size + size/512 + 8<<20 }

// add writes a member whose content is in memory.
func (o *output) add(e *tarn.Entry, data []byte) error {
	o.members++
	offset, err := o.w.AddBytes(e, data)
	if err != nil || len(data) == 0 {
		return err
	}
	return o.note(e, offset)
}

// note enters a content into the index.
func (o *output) note(e *tarn.Entry, offset int64) error {
	o.list = append(o.list, stretch{e.Content, offset, e.Size})
	if e.Inode != 0 {
		o.first[linkKeyOf(e)] = e.Path
	}
	return o.index.Add(repo.Content{Hash: e.Content, Offset: offset, Size: e.Size, Path: e.Path})
}

// link writes a further name of a file that this archive holds, and reports
// whether it does.
func (o *output) link(e *tarn.Entry) (bool, error) {
	target, ok := o.first[linkKeyOf(e)]
	if !ok || e.Content.IsZero() {
		return false, nil
	}
	o.members++
	return true, o.w.AddLink(e, target)
}

// close ends the archive and its index; the commit goes on with them.
func (o *output) close() error {
	layout, err := o.w.Close()
	if err == nil {
		err = o.begin(o.r.classOf(layout.Stored))
	}
	if err == nil {
		err = o.buf.Flush()
	}
	if err == nil {
		o.ix, err = o.index.Finish(layout)
	} else {
		o.index.Discard()
	}
	o.err = err
	close(o.done)
	o.pipe.CloseWithError(err) // nil ends the body
	return err
}

// fail gives the archive up: its upload ends with err, and nothing is stored.
func (o *output) fail(err error) {
	o.pipe.CloseWithError(err)
	o.w.Close() // ends its goroutines; that writing fails is the point
	o.index.Discard()
	o.err = err
	close(o.done)
}

// stored is called by the commit when archive and index are in the repository.
func (o *output) stored(ix *repo.Index) error {
	o.r.mu.Lock()
	o.r.result.Archives++
	o.r.result.Stored += ix.Layout.Stored
	o.r.result.Made = append(o.r.result.Made, Made{o.archive.Class, ix.Layout.Stored})
	o.r.mu.Unlock()
	if err := o.r.known.stored(o.id, o.list); err != nil {
		return err
	}
	return o.r.Contents.NoteObjects(map[tarn.ArchiveID]catalog.Object{o.id: {Key: ix.Key, Stored: ix.Layout.Stored}})
}
