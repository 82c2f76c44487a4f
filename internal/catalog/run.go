package catalog

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"sync"

	"github.com/tarn-backup/tarn"
)

// A run is a file of records sorted by hash and archive, each pair once, all
// integers little endian:
//
//	magic "tarnrun3", number of records (8), number of large sizes (8), bits of the filter (8),
//	the records (56 each), the large sizes (8 each), sorted,
//	the first eight bytes, big endian, of every 16th hash, and the filter, in whole bytes
//
// record: hash (32), number of the archive (4), zero (4), offset (8), size (8).
const (
	runMagic   = "tarnrun3" // tarnrun1 had one place of each content, tarnrun2 no filter
	runHeader  = 32
	recordSize = 56
	stride     = 16 // records between two entries of the sparse index
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
	file  *os.File
	count int64
	large []int64 // sizes of at least LargeSize, sorted
	bits  uint64  // of the filter

	// What a look-up needs in memory is read with the first one: 2 bytes a record.
	loading sync.Once
	failed  error
	sparse  []byte // the first eight bytes of every stride-th hash
	filter  filter
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
	bits := binary.LittleEndian.Uint64(head[24:])
	if string(head[:8]) != runMagic || count < 0 || large < 0 || count > 1<<40 || large > count || bits == 0 || bits > 1<<44 ||
		info.Size() != runHeader+count*recordSize+large*8+strides(count)*8+filterSize(bits) {
		return nil, fmt.Errorf("%s: %w", path, tarn.ErrDamaged)
	}
	r := &run{file: f, count: count, bits: bits, large: make([]int64, large)}
	sizes := io.NewSectionReader(f, runHeader+count*recordSize, large*8)
	return r, binary.Read(bufio.NewReader(sizes), binary.LittleEndian, r.large)
}

// strides is the length of the sparse index of so many records.
func strides(count int64) int64 { return (count + stride - 1) / stride }

// load reads the sparse index and the filter, once.
func (r *run) load() error {
	r.loading.Do(func() {
		n := strides(r.count) * 8
		buf := make([]byte, n+filterSize(r.bits))
		if _, err := r.file.ReadAt(buf, runHeader+r.count*recordSize+int64(len(r.large))*8); err != nil {
			r.failed = fmt.Errorf("reading the catalog: %w", err)
			return
		}
		r.sparse, r.filter = buf[:n:n], filter{r.bits, buf[n:]}
	})
	return r.failed
}

// search returns the first entry of the sparse index that is not below key.
func (r *run) search(key uint64) int64 {
	return int64(sort.Search(len(r.sparse)/8, func(i int) bool { return binary.BigEndian.Uint64(r.sparse[i*8:]) >= key }))
}

// lookup finds the first record of a hash by one read, as a rule of one stride.
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
	if err := r.load(); err != nil || !r.filter.maybe(h) {
		return nil, err
	}
	key := binary.BigEndian.Uint64(h[:])
	// The hash, if it is here, lies after the last sparse entry below key.
	// Equal first bytes may begin in the stride before it.
	first, last := r.search(key), int64(len(r.sparse)/8)
	if key < math.MaxUint64 {
		last = r.search(key + 1)
	}
	from, to := max(first-1, 0)*stride, min(last*stride, r.count)
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

// writeRun writes the records that next yields, at most most of them and in order of compareRecords, to
// a new file. Of equal ones the first is kept.
func writeRun(path string, most int64, next func() (record, bool, error)) (err error) {
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
	var buf, sparse []byte
	filter := newFilter(most)
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
		if count%stride == 0 {
			sparse = append(sparse, rec.hash[:8]...)
		}
		count++
		if rec.size >= LargeSize {
			large = append(large, rec.size)
		}
		filter.add(&rec.hash)
		buf = rec.append(buf[:0])
		w.Write(buf)
	}
	slices.Sort(large)
	for _, size := range large {
		w.Write(binary.LittleEndian.AppendUint64(nil, uint64(size)))
	}
	w.Write(sparse)
	w.Write(filter.set)
	if err := w.Flush(); err != nil {
		return err
	}
	head := []byte(runMagic)
	for _, n := range []uint64{uint64(count), uint64(len(large)), filter.bits} {
		head = binary.LittleEndian.AppendUint64(head, n)
	}
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
