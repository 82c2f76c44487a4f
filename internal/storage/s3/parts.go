package s3

import (
	"context"
	"fmt"
	"io"
	"sync"
)

const (
	mib       = 1 << 20
	leastPart = 8 * mib
	usualPart = 32 * mib
	maxParts  = 10_000
	// beginning is what is read of an object before it counts as long, and
	// beginnings how many Puts may hold so much.
	beginning  = 2 * mib
	beginnings = 4
	// growEvery is the number of parts after which the parts of an object of
	// unknown size double, so that 10,000 of them hold 1.1 TiB and not 312 GiB.
	growEvery = 2500
)

// partSize returns the size of part n in bytes. With a known bound of the
// object's size it follows from that: the number of parts has a limit.
func (p *put) partSize(n int32) int64 {
	least, usual := int64(leastPart), int64(usualPart)
	if p.s.cfg.PartSize > 0 {
		least, usual = p.s.cfg.PartSize, p.s.cfg.PartSize
	}
	bound := p.opts.MaxSize
	if bound <= 0 {
		return usual << ((n - 1) / growEvery)
	}
	need := (bound + maxParts - 1) / maxParts
	if need <= usual {
		return min(usual, max(bound, least))
	}
	return (need + mib - 1) / mib * mib
}

// begin reads the first part. Small objects are many, and their requests mostly
// wait: several are read and sent side by side, of little memory each. Of the
// long ones one is read at a time, until it has ended or failed: the others
// wait without a part in their hands, so that the memory for parts, which are
// large to be few, need not be there for each. The caller ends long.
func (p *put) begin(ctx context.Context) (first *part, err error) {
	if err := p.s.begun.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	buf := p.s.beginnings.take(beginning)
	giveBack := func() {
		p.s.beginnings.give(buf)
		p.s.begun.Release(1)
	}
	got, last, err := p.fill(ctx, buf[:min(beginning, p.partSize(1))])
	if err != nil {
		giveBack()
		return nil, err
	}
	if last {
		return p.held(1, buf[:got], true, func(reusable bool) {
			if !reusable {
				buf = make([]byte, beginning)
			}
			giveBack()
		}), nil
	}
	defer giveBack()
	if err := p.s.long.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	p.long = true
	return p.read(ctx, 1, buf[:got])
}

// endLong lets the next long object be read.
func (p *put) endLong() {
	if p.long {
		p.long = false
		p.s.long.Release(1)
	}
}

// read fills the next part, which begins with head. The memory that parts take
// is bounded; only the Put that is long asks for it.
func (p *put) read(ctx context.Context, n int32, head []byte) (*part, error) {
	if n > maxParts {
		return nil, fmt.Errorf("the object is too large: %d bytes and more, where MaxSize was %d", p.size, p.opts.MaxSize)
	}
	size := p.partSize(n)
	weight := min(size, p.s.cfg.Memory)
	if err := p.s.memory.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	buf := p.s.buffers.take(size)
	n0 := copy(buf, head)
	got, last, err := p.fill(ctx, buf[n0:])
	if err != nil {
		p.s.buffers.give(buf)
		p.s.memory.Release(weight)
		return nil, err
	}
	return p.held(n, buf[:n0+got], last, func(reusable bool) {
		if reusable {
			p.s.buffers.give(buf)
		}
		p.s.memory.Release(weight)
	}), nil
}

// held returns a part whose memory is given back by release, which is told
// whether it may be used again.
func (p *put) held(n int32, data []byte, last bool, release func(reusable bool)) *part {
	part := p.part(n, data)
	part.last = last
	part.release = func() { release(!part.failed) }
	return part
}

// fill reads into buf until it is full or the reader ends. It is not
// io.ReadFull, to which an io.ErrUnexpectedEOF of a broken source is an end.
func (p *put) fill(ctx context.Context, buf []byte) (n int, last bool, err error) {
	for n < len(buf) {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		m, err := p.in.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	switch _, err := p.in.Peek(1); err {
	case nil:
		return n, false, nil
	case io.EOF:
		return n, true, nil
	default:
		return n, false, err
	}
}

// buffers are those that no part uses at the moment. It is not a sync.Pool,
// which leaves as much again to the garbage collector.
type buffers struct {
	mu   sync.Mutex
	free [][]byte
}

// take returns size bytes, used ones if there are. Those of another size go:
// uploads that follow each other are of one size as a rule.
func (b *buffers) take(size int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 && int64(cap(b.free[n-1])) == size {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf[:size]
	}
	b.free = nil
	return make([]byte, size)
}

func (b *buffers) give(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, buf)
}
