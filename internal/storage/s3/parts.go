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
	usualPart = 16 * mib
	maxParts  = 10_000
	// growEvery is the number of parts after which the parts of an object of
	// unknown size double, so that 10,000 of them hold 585 GiB and not 156.
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

// read fills the next part. The memory that it takes is bounded over all
// Puts: a Put holds none that it does not need for going on, so that they
// can't wait for each other in a ring.
func (p *put) read(ctx context.Context, n int32) (*part, error) {
	if n > maxParts {
		return nil, fmt.Errorf("the object is too large: %d bytes and more, where MaxSize was %d", p.size, p.opts.MaxSize)
	}
	size := p.partSize(n)
	weight := min(size, p.s.cfg.Memory)
	if err := p.s.memory.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	buf := p.s.buffers.take(size)
	got, last, err := p.fill(ctx, buf)
	if err != nil {
		p.s.buffers.give(buf)
		p.s.memory.Release(weight)
		return nil, err
	}
	part := p.part(n, buf[:got])
	part.last = last
	part.release = func() {
		if !part.failed {
			p.s.buffers.give(buf)
		}
		p.s.memory.Release(weight)
	}
	return part, nil
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
