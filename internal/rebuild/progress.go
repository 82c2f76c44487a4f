package rebuild

import "sync/atomic"

// Progress is what a rebuild has done so far; it may be read at any time.
type Progress struct {
	stage       atomic.Pointer[string]
	done, total atomic.Int64
	bytes       atomic.Int64
}

// Status is a reading of a Progress.
type Status struct {
	Stage       string // what is being made: "objects", "snapshots", "catalog", "indexes", "trees"
	Done, Total int64  // of the stage; Total is 0 while it is not known
	Bytes       int64  // read of archives
}

// Read returns the state of the rebuild.
func (p *Progress) Read() Status {
	s := Status{Done: p.done.Load(), Total: p.total.Load(), Bytes: p.bytes.Load()}
	if stage := p.stage.Load(); stage != nil {
		s.Stage = *stage
	}
	return s
}

func (p *Progress) begin(stage string, total int) {
	p.done.Store(0)
	p.total.Store(int64(total))
	p.stage.Store(&stage)
}
