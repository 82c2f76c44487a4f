package backup

import (
	"context"
	"math/bits"
	"sync"
)

const (
	tinyFile  = 256 << 10 // below it files share tinyBytes of memory
	tinyBytes = 12 << 20
	slots     = 3 // buffers for files from tinyFile to smallFile
)

// budget bounds the content of small files in memory. All splits share it, but
// one of which nothing is in memory gets its next file beyond the bound. For a
// storage has bounds of its own: the upload of one split's archive may wait
// for memory that another's holds until more content comes, and that must
// not wait in turn for what the first split has taken here.
type budget struct {
	mu    sync.Mutex
	freed *sync.Cond
	tiny  int64    // bytes that are left; below 0 when lent beyond the bound
	slots int      // likewise
	free  [][]byte // buffers for slots that nobody uses
}

// share is what one split has of the budget.
type share struct {
	b    *budget
	held int // items with a buffer
}

func newBudget() *budget {
	b := &budget{tiny: tinyBytes, slots: slots}
	b.freed = sync.NewCond(&b.mu)
	return b
}

// acquire gives the item a buffer for its content, of one byte more than its
// size: that tells whether the file has grown.
func (s *share) acquire(ctx context.Context, it *item) error {
	b := s.b
	class := classOf(it.entry.Size + 1)
	tiny := it.entry.Size < tinyFile
	b.mu.Lock()
	defer b.mu.Unlock()
	fits := func() bool {
		return s.held == 0 || tiny && b.tiny >= 1<<class || !tiny && b.slots > 0
	}
	if !fits() {
		stop := context.AfterFunc(ctx, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.freed.Broadcast()
		})
		defer stop()
	}
	for !fits() {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.freed.Wait()
	}
	s.held++
	it.share = s
	if tiny {
		b.tiny -= 1 << class
		it.buffer = newBuffer(class)
		return nil
	}
	b.slots--
	if n := len(b.free); n > 0 {
		it.buffer, b.free = b.free[n-1], b.free[:n-1]
	} else {
		it.buffer = make([]byte, smallFile+1)
	}
	return nil
}

// release takes the item's buffer back, if it has one.
func (b *budget) release(it *item) {
	buf := it.buffer
	it.buffer, it.data = nil, nil
	if buf == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	it.share.held--
	if len(buf) > smallFile {
		b.slots++
		if len(b.free) < slots {
			b.free = append(b.free, buf)
		}
	} else {
		class := classOf(int64(len(buf)))
		buffers[class].Put(&buf)
		b.tiny += 1 << class
	}
	b.freed.Broadcast()
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
