package catalog

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/tarn-backup/tarn"
)

// A run is a file of records sorted by hash and archive, each pair once, all
// integers little endian:
//
//	magic "tarnrun2", number of records (8), number of large sizes (8),
//	the records (56 each), the large sizes (8 each), sorted
//
// record: hash (32), number of the archive (4), zero (4), offset (8), size (8).
const (
	runMagic   = "tarnrun2" // tarnrun1 had one place of each content
	runHeader  = 24
	recordSize = 56
	stride     = 64 // records between two entries of the sparse index in memory
)

type record struct {
	hash         tarn.ContentHash
	archive      uint32
	offset, size int64
}

func (r *record) append(b []byte) []byte {
	b = append(b, r.hash[:]...)
	b = binary.LittleEndian.AppendUint32(b, r.archive)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.offset))
	return binary.LittleEndian.AppendUint64(b, uint64(r.size))
}

func parseRecord(b []byte) (r record) {
	copy(r.hash[:], b)
	r.archive = binary.LittleEndian.Uint32(b[32:])
	r.offset = int64(binary.LittleEndian.Uint64(b[40:]))
	r.size = int64(binary.LittleEndian.Uint64(b[48:]))
	return r
}

// compareRecords orders by hash, then archive.
func compareRecords(a, b record) int {
	return cmp.Or(bytes.Compare(a.hash[:], b.hash[:]), cmp.Compare(a.archive, b.archive))
}

// run is an open run.
type run struct {
	file   *os.File
	count  int64
	sparse []uint64 // the first eight bytes, big endian, of every stride-th hash
	large  []int64  // sizes of at least LargeSize, sorted
}

func openRun(path string) (_ *run, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	var head [runHeader]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	count, large := int64(binary.LittleEndian.Uint64(head[8:])), int64(binary.LittleEndian.Uint64(head[16:]))
	if string(head[:8]) != runMagic || count < 0 || large < 0 || count > 1<<40 || large > count ||
		info.Size() != runHeader+count*recordSize+large*8 {
		return nil, fmt.Errorf("%s: %w", path, tarn.ErrDamaged)
	}
	r := &run{file: f, count: count, large: make([]int64, large)}
	var hash [8]byte
	for i := int64(0); i < count; i += stride {
		if _, err := f.ReadAt(hash[:], runHeader+i*recordSize); err != nil {
			return nil, err
		}
		r.sparse = append(r.sparse, binary.BigEndian.Uint64(hash[:]))
	}
	tail := io.NewSectionReader(f, runHeader+count*recordSize, large*8)
	return r, binary.Read(bufio.NewReader(tail), binary.LittleEndian, r.large)
}

// lookup finds the first record of a hash by one read of at most two strides,
// unless it has many.
func (r *run) lookup(h *tarn.ContentHash) (rec record, ok bool, err error) {
	var space [2 * stride * recordSize]byte
	buf, err := r.around(h, space[:])
	if len(buf) > 0 && bytes.Equal(buf[:32], h[:]) {
		return parseRecord(buf), true, err
	}
	return rec, false, err
}

// all finds all records of a hash.
func (r *run) all(h *tarn.ContentHash) (recs []record, err error) {
	buf, err := r.around(h, nil)
	for ; len(buf) > 0 && bytes.Equal(buf[:32], h[:]); buf = buf[recordSize:] {
		recs = append(recs, parseRecord(buf))
	}
	return recs, err
}

// around returns the records from the first that is not below h on, at least
// all of h, in space if they fit.
func (r *run) around(h *tarn.ContentHash, space []byte) ([]byte, error) {
	key := binary.BigEndian.Uint64(h[:])
	// The hash, if it is here, lies after the last sparse entry below key.
	// Equal first bytes may begin in the stride before it.
	first := sort.Search(len(r.sparse), func(i int) bool { return r.sparse[i] >= key })
	last := sort.Search(len(r.sparse), func(i int) bool { return r.sparse[i] > key })
	from, to := int64(max(first-1, 0))*stride, min(int64(last)*stride, r.count)
	if from >= to {
		return nil, nil
	}
	if n := (to - from) * recordSize; n > int64(len(space)) {
		space = make([]byte, n)
	} else {
		space = space[:n]
	}
	if _, err := r.file.ReadAt(space, runHeader+from*recordSize); err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	i := sort.Search(int(to-from), func(i int) bool { return bytes.Compare(space[i*recordSize:][:32], h[:]) >= 0 })
	return space[i*recordSize:], nil
}

func (r *run) hasLarge(size int64) bool {
	_, ok := slices.BinarySearch(r.large, size)
	return ok
}

// writeRun writes the records that next yields, in order of compareRecords, to
// a new file. Of equal ones the first is kept.
func writeRun(path string, next func() (record, bool, error)) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 256<<10)
	w.Write(make([]byte, runHeader)) // errors stay in w until Flush
	var count int64
	var large []int64
	var last record
	var buf []byte
	for {
		rec, ok, err := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if count > 0 && compareRecords(rec, last) == 0 {
			continue
		}
		last = rec
		count++
		if rec.size >= LargeSize {
			large = append(large, rec.size)
		}
		buf = rec.append(buf[:0])
		w.Write(buf)
	}
	slices.Sort(large)
	for _, size := range large {
		w.Write(binary.LittleEndian.AppendUint64(nil, uint64(size)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	head := append([]byte(runMagic), make([]byte, 16)...)
	binary.LittleEndian.PutUint64(head[8:], uint64(count))
	binary.LittleEndian.PutUint64(head[16:], uint64(len(large)))
	if _, err := f.WriteAt(head, 0); err != nil {
		return err
	}
	return f.Sync() // before the manifest, which is durable, names it
}

// records yields the records of a run in order.
func (r *run) records() func() (record, bool, error) {
	src := bufio.NewReaderSize(io.NewSectionReader(r.file, runHeader, r.count*recordSize), 256<<10)
	var b [recordSize]byte
	return func() (record, bool, error) {
		if _, err := io.ReadFull(src, b[:]); err == io.EOF {
			return record{}, false, nil
		} else if err != nil {
			return record{}, false, err
		}
		return parseRecord(b[:]), true, nil
	}
}

// merge yields the records of several runs in one order, those of earlier
// runs first.
func merge(runs []*run) func() (record, bool, error) {
	type head struct {
		next func() (record, bool, error)
		rec  record
		ok   bool
	}
	var heads []*head
	started := false
	return func() (record, bool, error) {
		if !started {
			started = true
			for _, r := range runs {
				h := &head{next: r.records()}
				var err error
				if h.rec, h.ok, err = h.next(); err != nil {
					return record{}, false, err
				}
				heads = append(heads, h)
			}
		}
		var best *head
		for _, h := range heads {
			if h.ok && (best == nil || compareRecords(h.rec, best.rec) < 0) {
				best = h
			}
		}
		if best == nil {
			return record{}, false, nil
		}
		rec := best.rec
		var err error
		best.rec, best.ok, err = best.next()
		return rec, true, err
	}
}
