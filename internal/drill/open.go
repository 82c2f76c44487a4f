package drill

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// item is a content in an archive.
type item struct {
	hash         tarn.ContentHash
	offset, size int64
	number       int // in the index
}

func (i item) end() int64 { return i.offset + i.size }

// opened is an archive whose index was read.
type opened struct {
	*archive.Reader
	index *repo.Index
	sum   string
	items []item // that are wanted, in order
}

// open reads the index of an archive, and opens it for what of it is wanted. It
// reads nothing of the archive itself.
func open(ctx context.Context, cfg *Config, id tarn.ArchiveID, wanted func(repo.Content) bool) (*opened, error) {
	o := &opened{}
	n := 0
	ix, err := cfg.Repo.Index(ctx, id, func(c repo.Content) error {
		if wanted(c) {
			o.items = append(o.items, item{c.Hash, c.Offset, c.Size, n})
		}
		n++
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids, err := cfg.Repo.Identities()
	if err != nil {
		return nil, err
	}
	o.index, o.sum = ix, fmt.Sprintf("%016x", ix.Layout.CRC64NVME)
	if o.Reader, err = archive.NewReader(ix.Layout, ranger(cfg.Repo.Storage(), ix.Key), ids); err != nil {
		return nil, fmt.Errorf("opening archive %s: %w", id, err)
	}
	return o, nil
}

// ranger reads ranges of an object.
func ranger(s storage.Storage, key string) archive.Ranger {
	return func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return s.Get(ctx, key, offset, length)
	}
}

// Of what one request reads.
const (
	maxGap       = 1 << 20  // bytes of the object that are read along instead of asking anew
	stretchBytes = 64 << 20 // of the tar stream, at which a stretch may end: what a killed run reads again
)

// stretches cuts items, which are in order, into those that one request reads each.
func (o *opened) stretches(items []item) (list [][]item) {
	begin := 0
	for i := range items {
		if i > begin && !o.joins(items[begin:i], items[i]) {
			list = append(list, items[begin:i])
			begin = i
		}
	}
	if begin < len(items) {
		list = append(list, items[begin:])
	}
	return list
}

// joins reports whether reading an item with those before it is better than
// asking for it.
func (o *opened) joins(before []item, next item) bool {
	start, end := before[0].offset, before[len(before)-1].end()
	from, length := o.Cost(start, end-start)
	at, _ := o.Cost(next.offset, next.size)
	return end-start < stretchBytes && at-(from+length) <= maxGap
}

// cost is what reading items takes.
func (o *opened) cost(obj cold.Object, items []item) cold.Archive {
	a := cold.Archive{Object: obj}
	for _, s := range o.stretches(items) {
		_, n := o.Cost(s[0].offset, s[len(s)-1].end()-s[0].offset)
		a.Gets++
		a.Fetched += n
	}
	return a
}

// spansOf joins items that follow each other in the index.
func spansOf(items []item) (list []Span) {
	for i, it := range items {
		if i > 0 && it.number == items[i-1].number+1 {
			list[len(list)-1][1] = it.end()
			continue
		}
		list = append(list, Span{it.offset, it.end()})
	}
	return list
}

// at reports what of a list of offsets, which is sorted, is wanted.
func at(offsets []int64) func(repo.Content) bool {
	return func(c repo.Content) bool {
		_, ok := slices.BinarySearch(offsets, c.Offset)
		return ok
	}
}

// most returns the greatest k up to n that is ok, if all below it are. It asks
// about few that are much greater, since these cost time.
func most(n int, ok func(k int) (bool, error)) (k int, err error) {
	high := 1
	for high <= n {
		if good, err := ok(high); err != nil {
			return 0, err
		} else if !good {
			break
		}
		k, high = high, high*2
	}
	high = min(high, n+1)
	k += sort.Search(high-k-1, func(i int) bool {
		if err != nil {
			return true
		}
		var good bool
		good, err = ok(k + i + 1)
		return !good
	})
	return k, err
}
