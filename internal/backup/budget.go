package backup

import (
	"context"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"
)

// budget bounds the bytes of small files in memory. Producers take from it in
// the order in which packers give back, so that it can't be deadlocked.
type budget struct {
	sem *semaphore.Weighted
}

func newBudget(n int64) *budget { return &budget{semaphore.NewWeighted(n)} }

func (b *budget) acquire(ctx context.Context, n int64) error { return b.sem.Acquire(ctx, n) }

// buffers are those of small files, by the power of two of their size.
var buffers [24]sync.Pool

// newBuffer returns a buffer of at least n bytes, of up to 2^23.
func newBuffer(n int64) []byte {
	class := max(bits.Len64(uint64(n-1)), 12)
	if b, ok := buffers[class].Get().(*[]byte); ok {
		return (*b)[:n]
	}
	return make([]byte, n, 1<<class)
}

func freeBuffer(b []byte) {
	if class := bits.Len64(uint64(cap(b) - 1)); cap(b) > 0 && class < len(buffers) {
		buffers[class].Put(&b)
	}
}

// release gives back what an item took, once.
func (r *run) release(it *item) {
	if it.data != nil {
		freeBuffer(it.data)
		it.data = nil
	}
	if it.cost > 0 {
		r.budget.sem.Release(it.cost)
		it.cost = 0
	}
}
