package archive

import "sync"

// pace chooses the level of each frame of a writer at Auto. What tells of time to
// spare is a frame that comes upon idle workers: where reading, hashing or
// the storage hold a run back, nearly all do, and where the processors do, few.
type pace struct {
	mu sync.Mutex
	// idle is the share of late frames that came upon idle workers, 0 to 1;
	// each further frame counts for a 32nd, so that no chance of a few decides. It begins at 0: a short run is a fast one.
	idle float64
}

const (
	paceWeight  = 1.0 / 32
	paceDefault = 0.75 // from which share on Default
	paceBetter  = 0.95 // and Better
)

// next takes whether a frame came upon idle workers, and returns its level.
// Frames that can't be compressed are not asked about: they cost no time.
func (p *pace) next(idle bool) Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle -= p.idle * paceWeight
	if idle {
		p.idle += paceWeight
	}
	switch {
	case p.idle >= paceBetter:
		return Better
	case p.idle >= paceDefault:
		return Default
	}
	return Fastest
}
