package scan

import (
	"math/bits"
	"sync"
)

// maxPooled bounds the scratch buffers that are kept, in bytes.
const maxPooled = 256 << 10

// pools keep buffers for reuse. What is held for long comes in about the size
// it needs, or small directories would hold the buffers of large ones.
type pools struct {
	names  sync.Pool     // of *names
	paths  sync.Pool     // of *[]byte
	chunks [12]sync.Pool // of *chunk, for 2^i items each
}

func (p *pools) getNames() *names {
	if n, ok := p.names.Get().(*names); ok {
		return n
	}
	return &names{}
}

// settle returns names of the scratch that are to stay, and takes the scratch back.
func (p *pools) settle(scratch *names) names {
	if cap(scratch.buf) > maxPooled {
		return *scratch
	}
	defer p.putNames(scratch)
	size := 0
	for _, r := range scratch.refs {
		size += int(r.size) + 1
	}
	n := names{buf: make([]byte, 0, size), refs: make([]nameRef, len(scratch.refs))}
	for i, r := range scratch.refs {
		n.refs[i] = r
		n.refs[i].off = uint32(len(n.buf))
		n.buf = append(n.buf, scratch.zeroed(i)...)
	}
	return n
}

func (p *pools) putNames(n *names) {
	if cap(n.buf) <= maxPooled {
		n.reset()
		p.names.Put(n)
	}
}

func (p *pools) getPaths() *[]byte {
	if b, ok := p.paths.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func (p *pools) putPaths(b *[]byte) {
	*b = (*b)[:0]
	p.paths.Put(b)
}

// getChunk returns a chunk of n items, up to 2^11.
func (p *pools) getChunk(n int) *chunk {
	class := bits.Len(uint(max(n, 1) - 1))
	c, ok := p.chunks[class].Get().(*chunk)
	if !ok {
		c = &chunk{items: make([]item, 1<<class)}
	}
	c.items = c.items[:n]
	return c
}

// putChunk takes back a chunk whose entries were all handed on.
func (p *pools) putChunk(c *chunk) {
	if c != nil {
		clear(c.items) // or it would hold the paths
		p.chunks[bits.Len(uint(cap(c.items)-1))].Put(c)
	}
}
