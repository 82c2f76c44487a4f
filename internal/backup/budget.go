package backup

import (
	"context"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	tinyFile  = 256 << 10 // below it files share tinyBytes of memory
	tinyBytes = 12 << 20
	slots     = 4 // buffers for files from tinyFile to smallFile
)

// budget bounds the content of small files in memory. Producers take from it
// in the order in which packers give back, so that they can't block each other
// for ever.
type budget struct {
	tiny  *semaphore.Weighted
	slots chan []byte // nil until they are first used
}

func newBudget() *budget {
	b := &budget{tiny: semaphore.NewWeighted(tinyBytes), slots: make(chan []byte, slots)}
	for range slots {
		b.slots <- nil
	}
	return b
}

// acquire gives the item a buffer for its content, of one byte more than its
// size: that tells whether the file has grown.
func (b *budget) acquire(ctx context.Context, it *item) error {
	if it.entry.Size < tinyFile {
		class := classOf(it.entry.Size + 1)
		if err := b.tiny.Acquire(ctx, 1<<class); err != nil {
			return err
		}
		it.buffer = newBuffer(class)
		return nil
	}
	select {
	case buf := <-b.slots:
		if buf == nil {
			buf = make([]byte, smallFile+1)
		}
		it.buffer = buf
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release takes the item's buffer back, if it has one.
func (b *budget) release(it *item) {
	buf := it.buffer
	it.buffer, it.data = nil, nil
	switch {
	case buf == nil:
	case len(buf) > smallFile:
		b.slots <- buf
	default:
		class := classOf(int64(len(buf)))
		buffers[class].Put(&buf)
		b.tiny.Release(1 << class)
	}
}

// buffers are those of tiny files, by the power of two of their size.
var buffers [20]sync.Pool

func classOf(n int64) int { return max(bits.Len64(uint64(n-1)), 12) }

func newBuffer(class int) []byte {
	if b, ok := buffers[class].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 1<<class)
}
