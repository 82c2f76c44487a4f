package catalog

import (
	"encoding/binary"
	"math/bits"

	"github.com/tarn-backup/tarn"
)

// filter is a Bloom filter over hashes: what it does not know is not there. With
// 12 bits a hash and three of them set, it is wrong about 1 of 90 that are not.
// Nearly all look-ups of a first backup are of hashes that no run has.
type filter struct {
	bits uint64
	set  []byte
}

const bitsPerHash = 12

func newFilter(hashes int64) filter {
	n := uint64(max(hashes, 1)) * bitsPerHash
	return filter{n, make([]byte, filterSize(n))}
}

// filterSize is the bytes of a filter of so many bits.
func filterSize(bits uint64) int64 { return int64((bits + 7) / 8) }

// places are the three bits of a hash. Its bytes are as good as random; the
// first eight, by which runs are sorted, are left out.
func (f filter) places(h *tarn.ContentHash) (at [3]uint64) {
	for i := range at {
		at[i], _ = bits.Mul64(binary.LittleEndian.Uint64(h[8+8*i:]), f.bits)
	}
	return at
}

func (f filter) add(h *tarn.ContentHash) {
	for _, i := range f.places(h) {
		f.set[i/8] |= 1 << (i % 8)
	}
}

// maybe reports whether the hash may be one of those that were added.
func (f filter) maybe(h *tarn.ContentHash) bool {
	for _, i := range f.places(h) {
		if f.set[i/8]>>(i%8)&1 == 0 {
			return false
		}
	}
	return true
}
