package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

// WriterConfig says how an archive is written.
type WriterConfig struct {
	Level      Level
	Recipients []age.Recipient // none: not encrypted
	Workers    *Workers        // nil: as many as processors, for this Writer alone
}

// Writer writes one archive. Its methods are called from one goroutine at a
// time. Frames are compressed by the workers, and encrypted, summed and written
// in order by a goroutine of the Writer. Close or Abort ends it, also after an
// error. Memory is bounded: a few frames of FrameSize, however slow the writer
// below is.
//
// An error of the writer below is returned by whatever is called after it.
type Writer struct {
	level   Level
	workers *Workers
	headers headers
	cur     []byte // rawPrefix bytes, then the frame that is being filled
	sent    int64  // bytes of the tar stream before it
	frames  int    // before it
	queue   chan *frameJob
	out     *output
	done    chan struct{} // closed when the queue is drained
	err     atomic.Pointer[error]
	closed  bool
}

// ShortError says that the content of a file ended early, or that reading it
// failed. Its member is filled up with zeros, so that the archive stays valid.
type ShortError struct {
	Read int64 // bytes that were read
	Err  error // io.ErrUnexpectedEOF if the content just ended
}

// Error implements error.
func (e *ShortError) Error() string {
	return fmt.Sprintf("reading content after %d bytes: %v", e.Read, e.Err)
}

// Unwrap returns what reading failed with.
func (e *ShortError) Unwrap() error { return e.Err }

var (
	errAborted = errors.New("archive was given up")
	errClosed  = errors.New("archive is closed already")
)

// NewWriter begins an archive. The object's bytes go to w in order and from one
// goroutine, a frame's in pieces of 64 KiB and more where there are so many;
// nothing is written before the first frame is full. w must not keep what it
// is given.
func NewWriter(w io.Writer, cfg WriterConfig) (*Writer, error) {
	if !cfg.Level.Valid() {
		return nil, fmt.Errorf("beginning an archive: no compression %s", cfg.Level)
	}
	out, err := newOutput(w, cfg.Recipients)
	if err != nil {
		return nil, err
	}
	if cfg.Workers == nil {
		cfg.Workers = NewWorkers(0)
	}
	a := &Writer{level: cfg.Level, workers: cfg.Workers, out: out, done: make(chan struct{})}
	// The frame that is to be written next, and behind it one for each further worker.
	a.queue = make(chan *frameJob, max(1, cap(cfg.Workers.busy)-1))
	a.cur = a.newFrame()
	go a.drain()
	return a, nil
}

func (a *Writer) newFrame() []byte { return a.workers.buffer()[:rawPrefix] }

// drain writes frames in order. After an error it only takes them, so that
// whoever adds members is never left waiting.
func (a *Writer) drain() {
	defer close(a.done)
	for j := range a.queue {
		<-j.ready
		if a.failed() == nil {
			a.fail(a.out.begin())
		}
		if a.failed() == nil {
			a.fail(a.out.frame(j))
		}
		a.workers.release(j.buf)
		a.workers.release(j.out)
	}
}

func (a *Writer) fail(err error) {
	if err != nil {
		err = fmt.Errorf("writing an archive: %w", err)
		a.err.CompareAndSwap(nil, &err)
	}
}

func (a *Writer) failed() error {
	if err := a.err.Load(); err != nil {
		return *err
	}
	return nil
}

// cut sends the current frame off, if there is anything in it.
func (a *Writer) cut() error {
	size := len(a.cur) - rawPrefix
	if err := a.failed(); err != nil || size == 0 {
		return err
	}
	if a.frames++; a.frames > maxFrames {
		a.fail(fmt.Errorf("it has more than %d frames", maxFrames))
		return a.failed()
	}
	j := &frameJob{buf: a.cur, size: size, ready: make(chan struct{})}
	a.sent += int64(size)
	a.queue <- j
	go a.workers.compress(j, a.level)
	a.cur = a.newFrame()
	return nil
}

// Size returns the bytes of the tar stream so far.
func (a *Writer) Size() int64 { return a.sent + int64(len(a.cur)-rawPrefix) }

// begin writes the headers of a member with size bytes of content, after
// cutting the frame if the member does not fit into the rest of it but would
// fit into a whole one.
func (a *Writer) begin(e *tarn.Entry, linkTo string, size int64) error {
	if a.closed {
		return errClosed
	}
	if err := a.failed(); err != nil {
		return err
	}
	head, err := a.headers.make(e, linkTo)
	if err != nil {
		return err
	}
	if have := int64(len(a.cur) - rawPrefix); have >= minFrame && size <= FrameSize {
		total := int64(len(head)) + (size+block-1)/block*block
		if total <= FrameSize && have+total > FrameSize {
			if err := a.cut(); err != nil {
				return err
			}
		}
	}
	return a.write(head)
}

// room returns the free part of the current frame.
func (a *Writer) room() []byte { return a.cur[len(a.cur) : rawPrefix+FrameSize] }

// grow takes n bytes of room into the frame, and sends it off when it is full.
func (a *Writer) grow(n int) error {
	a.cur = a.cur[:len(a.cur)+n]
	if len(a.cur) == rawPrefix+FrameSize {
		return a.cut()
	}
	return nil
}

func (a *Writer) write(b []byte) error {
	for len(b) > 0 {
		n := copy(a.room(), b)
		if err := a.grow(n); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// zeros writes n zero bytes.
func (a *Writer) zeros(n int64) error {
	for n > 0 {
		room := a.room()
		room = room[:min(n, int64(len(room)))]
		clear(room)
		if err := a.grow(len(room)); err != nil {
			return err
		}
		n -= int64(len(room))
	}
	return nil
}

// AddBytes adds a member whose content is in memory, of e.Size bytes for a file
// and none for anything else. It returns the offset of the content in the tar
// stream.
func (a *Writer) AddBytes(e *tarn.Entry, content []byte) (offset int64, err error) {
	size := int64(0)
	if e.Type == tarn.TypeFile {
		size = e.Size
	}
	if int64(len(content)) != size {
		return 0, fmt.Errorf("adding %q: %d bytes of content for a %s of %d", e.Path, len(content), e.Type, e.Size)
	}
	if err := a.begin(e, "", size); err != nil {
		return 0, err
	}
	offset = a.Size()
	if err := a.write(content); err != nil {
		return offset, err
	}
	return offset, a.zeros(-size & (block - 1))
}

// Add adds a member and reads its content, e.Size bytes and never more; content
// may be nil if there is none. It returns the offset of the content in the tar
// stream. If there are fewer bytes, or reading fails, the member is completed
// with zeros, the error is a *ShortError and the Writer can be used on. If
// reading fails because its context has ended, the archive is given up.
func (a *Writer) Add(e *tarn.Entry, content io.Reader) (offset int64, err error) {
	if e.Type != tarn.TypeFile || e.Size == 0 {
		return a.AddBytes(e, nil)
	}
	if err := a.begin(e, "", e.Size); err != nil {
		return 0, err
	}
	offset = a.Size()
	for left := e.Size; left > 0; {
		room := a.room()
		n, err := io.ReadFull(content, room[:min(left, int64(len(room)))])
		left -= int64(n)
		if werr := a.grow(n); werr != nil {
			return offset, werr
		}
		if err != nil {
			return offset, a.short(e, left, err)
		}
	}
	return offset, a.zeros(-e.Size & (block - 1))
}

// short completes a member of whose content left bytes are missing.
func (a *Writer) short(e *tarn.Entry, left int64, err error) error {
	// Nobody waits for gigabytes of zeros in an archive that won't be kept.
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		a.fail(err)
		return a.failed()
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err := a.zeros(left + -e.Size&(block-1)); err != nil {
		return err
	}
	return &ShortError{Read: e.Size - left, Err: err}
}

// AddLink adds e as a hard link to an earlier member of this archive, by its
// path.
func (a *Writer) AddLink(e *tarn.Entry, target string) error {
	if target == "" {
		return fmt.Errorf("adding %q: a hard link without a target", e.Path)
	}
	return a.begin(e, target, 0)
}

// Close ends the tar, the frames, the seek table and the encryption, and
// returns the layout of the object. It does not close the writer below. After
// an error nothing more is written; the error is returned.
func (a *Writer) Close() (Layout, error) {
	if a.closed {
		return Layout{}, errClosed
	}
	err := a.zeros(2 * block)
	if err == nil {
		err = a.cut()
	}
	a.finish()
	if err == nil {
		err = a.failed()
	}
	if err != nil {
		return Layout{}, err
	}
	if err := a.out.end(); err != nil {
		return Layout{}, fmt.Errorf("ending an archive: %w", err)
	}
	return a.out.layout, nil
}

// Abort gives the archive up without writing more than is being written. It
// waits for the writer below to return.
func (a *Writer) Abort() {
	if !a.closed {
		a.fail(errAborted)
		a.finish()
	}
}

// finish waits until all frames are written.
func (a *Writer) finish() {
	a.closed = true
	close(a.queue)
	<-a.done
	a.workers.release(a.cur)
	a.cur = make([]byte, rawPrefix)
}
