package archive

import (
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/minio/crc64nvme"
)

// output is where frames go: encryption, then the count and the sum of the
// object's bytes, then the writer below.
type output struct {
	below  *counter
	to     io.Writer      // below or sealed
	sealed io.WriteCloser // nil if not encrypted
	header []byte         // age header and nonce, until they are written
	layout Layout
}

// newOutput writes nothing yet: who makes an archive may not have its reader
// at work.
func newOutput(w io.Writer, recipients []age.Recipient) (*output, error) {
	o := &output{below: &counter{w: w}}
	o.to = o.below
	if len(recipients) == 0 {
		return o, nil
	}
	// age writes its header and the nonce at once, and nothing else before the
	// first chunk is full.
	head := &recorder{next: o.below}
	sealed, err := age.Encrypt(head, recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypting an archive: %w", err)
	}
	head.done = true
	o.sealed, o.to, o.header, o.layout.Header = sealed, sealed, head.b, head.b
	return o, nil
}

// begin writes the age header.
func (o *output) begin() error {
	if len(o.header) == 0 {
		return nil
	}
	_, err := o.below.Write(o.header)
	o.header = nil
	return err
}

// frame writes a frame that is compressed.
func (o *output) frame(j *frameJob) error {
	f := Frame{Compressed: uint32(len(j.out)), Uncompressed: uint32(j.size)}
	var err error
	if j.buf != nil {
		f.Compressed = uint32(rawFrameSize(j.size))
		err = writeRawFrame(o.to, j.buf, j.sum)
	} else {
		_, err = o.to.Write(j.out)
	}
	o.layout.Frames = append(o.layout.Frames, f)
	o.layout.Size += int64(j.size)
	return err
}

// end writes the seek table and what age keeps back.
func (o *output) end() error {
	if _, err := o.to.Write(appendSeekTable(nil, o.layout.Frames)); err != nil {
		return err
	}
	if o.sealed != nil {
		if err := o.sealed.Close(); err != nil {
			return err
		}
	}
	o.layout.Stored, o.layout.CRC64NVME = o.below.n, o.below.sum
	return nil
}

// recorder keeps what is written until it is done, and hands on what comes
// after.
type recorder struct {
	next io.Writer
	b    []byte
	done bool
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.done {
		return r.next.Write(p)
	}
	r.b = append(r.b, p...)
	return len(p), nil
}

// counter counts and sums the object's bytes.
type counter struct {
	w   io.Writer
	n   int64
	sum uint64
}

func (c *counter) Write(p []byte) (int, error) {
	c.sum = crc64nvme.Update(c.sum, p)
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
