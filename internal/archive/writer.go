package archive

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
)

// WriterConfig says how an archive is written.
type WriterConfig struct {
	Level      Level
	Recipients []age.Recipient // none: not encrypted
	Workers    *Workers
}

// Writer writes one archive. Members are added from one goroutine; frames are
// compressed by the workers and written, in order, by a goroutine of its own.
// Close ends it, also after an error.
type Writer struct {
	level   Level
	workers *Workers
	cur     *frameJob
	scratch []byte // headers of the next member
	size    int64
	queue   chan *frameJob
	closed  bool

	out  *output
	done chan struct{} // closed when the queue is drained
	mu   sync.Mutex
	err  error // of the output
}

// ShortError says that the content of a file ended early, or that reading it
// failed. Its member was filled up with zeros, so that the archive stays valid.
type ShortError struct {
	Read int64 // bytes that there were
	Err  error // nil if the content just ended
}

// Error implements error.
func (e *ShortError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("content ended after %d bytes", e.Read)
	}
	return fmt.Sprintf("reading content after %d bytes: %v", e.Read, e.Err)
}

// Unwrap returns what reading failed with.
func (e *ShortError) Unwrap() error { return e.Err }

var jobs = sync.Pool{New: func() any { return &frameJob{raw: make([]byte, 0, FrameSize)} }}

// NewWriter begins an archive on w.
func NewWriter(w io.Writer, cfg WriterConfig) (*Writer, error) {
	out, err := newOutput(w, cfg.Recipients)
	if err != nil {
		return nil, fmt.Errorf("beginning an archive: %w", err)
	}
	a := &Writer{level: cfg.Level, workers: cfg.Workers, out: out, queue: make(chan *frameJob, cap(cfg.Workers.jobs)+2), done: make(chan struct{})}
	a.cur = a.newJob()
	go a.drain()
	return a, nil
}

func (a *Writer) newJob() *frameJob {
	j := jobs.Get().(*frameJob)
	j.raw, j.level, j.ready = j.raw[:0], a.level, make(chan struct{})
	return j
}

// drain writes frames in order. After an error it only takes them, so that
// whoever adds members is never left waiting.
func (a *Writer) drain() {
	defer close(a.done)
	for j := range a.queue {
		<-j.ready
		if a.failed() == nil {
			if err := a.out.frame(j); err != nil {
				a.mu.Lock()
				a.err = err
				a.mu.Unlock()
			}
		}
		jobs.Put(j)
	}
}

func (a *Writer) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// cut sends the current frame off.
func (a *Writer) cut() error {
	if len(a.cur.raw) == 0 {
		return a.failed()
	}
	a.size += int64(len(a.cur.raw))
	j := a.cur
	a.cur = a.newJob()
	a.queue <- j
	a.workers.jobs <- j
	return a.failed()
}

// Size returns the bytes of the tar stream so far.
func (a *Writer) Size() int64 { return a.size + int64(len(a.cur.raw)) }

// begin writes the headers of a member, after cutting the frame if the member
// would not fit into the rest of it but fits into one of its own.
func (a *Writer) begin(e *tarn.Entry, linkTo string, size int64) (err error) {
	if a.scratch, err = appendHeader(a.scratch[:0], e, linkTo); err != nil {
		return err
	}
	total := int64(len(a.scratch)) + size
	if have := int64(len(a.cur.raw)); have >= minFrame && have+total > FrameSize && total <= FrameSize {
		if err := a.cut(); err != nil {
			return err
		}
	}
	return a.write(a.scratch)
}

func (a *Writer) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), FrameSize-len(a.cur.raw))
		a.cur.raw = append(a.cur.raw, b[:n]...)
		b = b[n:]
		if len(a.cur.raw) == FrameSize {
			if err := a.cut(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill writes zeros up to the next block after a content of n bytes.
func (a *Writer) fill(n int64) error {
	if rest := n % block; rest != 0 {
		return a.write(zeroBlock[rest:])
	}
	return nil
}

// AddBytes adds a member whose content is in memory, and returns the offset of
// the content in the tar stream. For a file, len(content) must be e.Size.
func (a *Writer) AddBytes(e *tarn.Entry, content []byte) (offset int64, err error) {
	if e.Type == tarn.TypeFile && int64(len(content)) != e.Size || e.Type != tarn.TypeFile && len(content) > 0 {
		return 0, fmt.Errorf("adding %q: %d bytes of content for a %s of %d", e.Path, len(content), e.Type, e.Size)
	}
	if err := a.begin(e, "", e.Size); err != nil {
		return 0, err
	}
	offset = a.Size()
	if err := a.write(content); err != nil {
		return 0, err
	}
	return offset, a.fill(e.Size)
}

// Add adds a file from a reader, of which it reads e.Size bytes at most. If
// there are fewer, the member is filled up with zeros and the error is a
// *ShortError; the writer can be used on.
func (a *Writer) Add(e *tarn.Entry, content io.Reader) (offset int64, err error) {
	if e.Type != tarn.TypeFile || e.Size == 0 {
		return a.AddBytes(e, nil)
	}
	if err := a.begin(e, "", e.Size); err != nil {
		return 0, err
	}
	offset = a.Size()
	var short *ShortError
	for left := e.Size; left > 0; {
		have := len(a.cur.raw)
		room := a.cur.raw[have : have+int(min(left, int64(FrameSize-have)))]
		if short == nil {
			n, err := io.ReadFull(content, room)
			if err != nil {
				short = &ShortError{Read: e.Size - left + int64(n), Err: err}
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					short.Err = nil
				}
				clear(room[n:])
			}
		} else {
			clear(room)
		}
		a.cur.raw = a.cur.raw[:have+len(room)]
		left -= int64(len(room))
		if len(a.cur.raw) == FrameSize {
			if err := a.cut(); err != nil {
				return 0, err
			}
		}
	}
	if err := a.fill(e.Size); err != nil {
		return 0, err
	}
	if short != nil {
		return 0, short
	}
	return offset, nil
}

// AddLink adds a further name of an earlier member.
func (a *Writer) AddLink(e *tarn.Entry, target string) error {
	return a.begin(e, target, 0)
}

// Close ends the archive and returns its layout. It does not close the writer
// below.
func (a *Writer) Close() (Layout, error) {
	if a.closed {
		return Layout{}, errors.New("closing an archive: it is closed already")
	}
	a.closed = true
	err := a.write(zeroBlock[:])
	if err == nil {
		err = a.write(zeroBlock[:])
	}
	if err == nil {
		err = a.cut()
	}
	close(a.queue)
	<-a.done
	jobs.Put(a.cur)
	if err = errors.Join(err, a.failed()); err != nil {
		return Layout{}, fmt.Errorf("writing an archive: %w", err)
	}
	layout, err := a.out.close()
	layout.Size = a.size
	return layout, err
}

// output is what frames are written to: encryption, then the sum and the count
// of the object's bytes, then the writer below.
type output struct {
	below  *counter
	sealed io.WriteCloser // nil if not encrypted
	header []byte
	frames []Frame
}

func newOutput(w io.Writer, to []age.Recipient) (*output, error) {
	o := &output{below: &counter{w: w}}
	if len(to) == 0 {
		return o, nil
	}
	o.below.record = true // age writes the header and the nonce at once
	var err error
	if o.sealed, err = age.Encrypt(o.below, to...); err != nil {
		return nil, err
	}
	o.header, o.below.recorded, o.below.record = o.below.recorded, nil, false
	return o, nil
}

func (o *output) frame(j *frameJob) error {
	o.frames = append(o.frames, Frame{uint32(len(j.out)), uint32(len(j.raw))})
	return o.write(j.out)
}

func (o *output) write(b []byte) (err error) {
	if o.sealed != nil {
		_, err = o.sealed.Write(b)
	} else {
		_, err = o.below.Write(b)
	}
	return err
}

func (o *output) close() (Layout, error) {
	err := o.write(appendSeekTable(nil, o.frames))
	if err == nil && o.sealed != nil {
		err = o.sealed.Close()
	}
	if err != nil {
		return Layout{}, fmt.Errorf("ending an archive: %w", err)
	}
	return Layout{Header: o.header, Frames: o.frames, Stored: o.below.n, CRC64NVME: o.below.sum}, nil
}

// counter counts and sums the object's bytes.
type counter struct {
	w        io.Writer
	n        int64
	sum      uint64
	record   bool
	recorded []byte
}

func (c *counter) Write(b []byte) (int, error) {
	if c.record {
		c.recorded = append(c.recorded, b...)
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.sum = crc64nvme.Update(c.sum, b[:n])
	return n, err
}
