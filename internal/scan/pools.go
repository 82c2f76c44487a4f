package scan

// maxPooled bounds the buffers that are kept, in bytes of names.
const maxPooled = 256 << 10

func (a *ahead) getNames() names {
	if n, ok := a.namesPool.Get().(*names); ok {
		return *n
	}
	return names{}
}

// putNames takes back the names of a directory that nobody uses any more.
func (a *ahead) putNames(n names) {
	if cap(n.buf) > 0 && cap(n.buf) <= maxPooled {
		n.reset()
		a.namesPool.Put(&n)
	}
}

func (a *ahead) getChunk() *chunk {
	if c, ok := a.chunkPool.Get().(*chunk); ok {
		return c
	}
	return &chunk{}
}

// putChunk takes back a chunk whose entries were all handed on.
func (a *ahead) putChunk(c *chunk) {
	if c != nil && cap(c.pathed) <= maxPooled {
		clear(c.items) // or it would hold the paths
		c.items, c.pathed = c.items[:0], c.pathed[:0]
		a.chunkPool.Put(c)
	}
}
