package backup

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// budget bounds the bytes of small files in memory. Producers take from it in
// the order in which packers give back, so that it can't be deadlocked.
type budget struct {
	sem *semaphore.Weighted
}

func newBudget(n int64) *budget { return &budget{semaphore.NewWeighted(n)} }

func (b *budget) acquire(ctx context.Context, n int64) error { return b.sem.Acquire(ctx, n) }

// release gives back what an item took, once.
func (r *run) release(it *item) {
	if it.cost > 0 {
		r.budget.sem.Release(it.cost)
		it.cost = 0
	}
}
