package backup

import (
	"context"
	"sync/atomic"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
)

// Progress is what a run has done so far; it may be read at any time.
type Progress struct {
	files, bytes, stored, problems atomic.Int64
	totalFiles, totalBytes         atomic.Int64
	counted                        atomic.Bool
	current                        atomic.Pointer[string]
}

// Status is a reading of a Progress.
type Status struct {
	Files, Bytes           int64 // compared, and read if they had changed
	TotalFiles, TotalBytes int64 // of the sources; final when Counted
	Counted                bool
	Stored                 int64 // bytes of archives that the storage has acknowledged
	Problems               int64
	Current                string
}

// Read returns the state of the run.
func (p *Progress) Read() Status {
	s := Status{
		Files: p.files.Load(), Bytes: p.bytes.Load(), TotalFiles: p.totalFiles.Load(), TotalBytes: p.totalBytes.Load(),
		Counted: p.counted.Load(), Stored: p.stored.Load(), Problems: p.problems.Load(),
	}
	if c := p.current.Load(); c != nil {
		s.Current = *c
	}
	return s
}

func (p *Progress) acknowledged(n int64) { p.stored.Add(n) }
func (p *Progress) problem()             { p.problems.Add(1) }

func (p *Progress) done(size int64) {
	p.files.Add(1)
	p.bytes.Add(size)
}

func (p *Progress) passed(c repo.Counts) {
	p.files.Add(c.Files + c.Others)
	p.bytes.Add(c.Bytes)
}

// countAhead walks the sources once more, beside the run, so that the progress
// knows how much there is.
func (r *run) countAhead(ctx context.Context, sources []*scan.Source) {
	for _, s := range sources {
		for sp, err := range s.Splits(ctx) {
			if err != nil {
				continue // the run itself reports it
			}
			for e, err := range s.Entries(ctx, sp) {
				if err == nil && e.Type != tarn.TypeDir {
					r.Progress.totalFiles.Add(1)
					r.Progress.totalBytes.Add(e.Size)
				}
			}
		}
	}
	if ctx.Err() == nil {
		r.Progress.counted.Store(true)
	}
}
