package restore

import "sync/atomic"

// Progress is what a restore has done so far; it may be read at any time.
type Progress struct {
	files, bytes, problems atomic.Int64
	current                atomic.Pointer[string]
}

// Status is a reading of a Progress.
type Status struct {
	Files, Bytes int64 // that are in the target and right
	Problems     int64
	Current      string
}

// Read returns the state of the restore.
func (p *Progress) Read() Status {
	s := Status{Files: p.files.Load(), Bytes: p.bytes.Load(), Problems: p.problems.Load()}
	if c := p.current.Load(); c != nil {
		s.Current = *c
	}
	return s
}

// reset begins anew, for another pass over the same files.
func (p *Progress) reset() {
	p.files.Store(0)
	p.bytes.Store(0)
}

func (p *Progress) done(size int64) {
	p.files.Add(1)
	p.bytes.Add(size)
}
