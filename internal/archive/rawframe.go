package archive

import (
	"encoding/binary"
	"io"

	"github.com/cespare/xxhash/v2"
)

const (
	zstdMagic = 0xFD2FB528
	maxBlock  = 128 << 10 // of zstd

	rawPrefix = 12 // bytes before the first block's content: magic, descriptor, content size, block header
	rawSuffix = 4  // checksum

	rawDescriptor = 2<<6 | 1<<5 | 1<<2 // of a frame: content size of 4 bytes, single segment, checksum

	samples    = 16
	sampleSize = 4096
)

// incompressible reports whether storing a frame as it is costs about nothing.
// Two looks find that out in a tenth of a millisecond: whether samples of it
// are spread over all bytes as evenly as noise, and whether few of its tar
// blocks begin alike (the headers of small files, holes, repeated content).
func incompressible(b []byte) bool {
	if len(b) < samples*sampleSize {
		return false
	}
	uneven := 0
	step := (len(b) - sampleSize) / (samples - 1)
	for i := range samples {
		if !even(b[i*step:][:sampleSize]) {
			if uneven++; uneven > 1 {
				return false
			}
		}
	}
	return !repetitive(b)
}

// even reports whether the bytes of a sample occur about equally often. For
// noise the sum of squares is about n + n²/256, with a standard deviation of
// 360; at 12 % more of its second part, an entropy coder saves 1 % of the size.
func even(b []byte) bool {
	const n = sampleSize
	var count [256]uint32
	for _, c := range b {
		count[c]++
	}
	var sum uint32
	for _, c := range count {
		sum += c * c
	}
	return sum < n+n*n/256*112/100
}

// repetitive reports whether one in 32 of the blocks begins like another.
func repetitive(b []byte) bool {
	const bits = 14
	var seen [1 << bits]uint64
	blocks, same := len(b)/block, 0
	for i := range blocks {
		v := binary.LittleEndian.Uint64(b[i*block:]) | 1 // no zero: an empty slot
		h := v * 0x9E3779B97F4A7C15 >> (64 - bits)
		if seen[h] == v {
			same++
		}
		seen[h] = v
	}
	return same*32 > blocks
}

// rawFrameSize is the size of a frame of raw blocks for n > 0 bytes.
func rawFrameSize(n int) int {
	return rawPrefix - 3 + 3*((n+maxBlock-1)/maxBlock) + n + rawSuffix
}

// writeRawFrame writes buf[rawPrefix:], at least a byte, as a zstd frame of raw blocks (RFC
// 8878, 3.1.1) whose content checksum is sum. It works in place, without a copy
// and with no small writes: what stands before a block overwrites the end of
// the block before it, which is written already. buf needs rawSuffix bytes of capacity
// behind its end.
func writeRawFrame(w io.Writer, buf []byte, sum uint32) error {
	n := len(buf) - rawPrefix
	b := binary.LittleEndian.AppendUint32(buf[:0], zstdMagic)
	b = append(b, rawDescriptor)
	binary.LittleEndian.AppendUint32(b, uint32(n))
	buf = binary.LittleEndian.AppendUint32(buf, sum)
	begin := 0
	for at := 0; at < n; at += maxBlock {
		size := min(maxBlock, n-at)
		end := rawPrefix + at + size
		head := uint32(size) << 3 // type 0: raw
		if at+size == n {
			head |= 1 // the last
			end += rawSuffix
		}
		h := buf[rawPrefix+at-3:]
		h[0], h[1], h[2] = byte(head), byte(head>>8), byte(head>>16)
		if _, err := w.Write(buf[begin:end]); err != nil {
			return err
		}
		begin = end - 3
	}
	return nil
}

// rawBlocks returns the content of a frame as writeRawFrame makes it, in parts of
// stored, so that it need not be copied, or false if it is another frame, or not whole.
func rawBlocks(stored []byte, size int) (parts [][]byte, ok bool) {
	if size == 0 || len(stored) != rawFrameSize(size) || binary.LittleEndian.Uint32(stored) != zstdMagic || stored[4] != rawDescriptor ||
		binary.LittleEndian.Uint32(stored[5:]) != uint32(size) {
		return nil, false
	}
	sum := xxhash.New()
	parts = make([][]byte, 0, (size+maxBlock-1)/maxBlock)
	at := rawPrefix - 3
	for left := size; left > 0; {
		n := min(left, maxBlock)
		left -= n
		head := uint32(n) << 3
		if left == 0 {
			head |= 1
		}
		if h := stored[at:]; uint32(h[0])|uint32(h[1])<<8|uint32(h[2])<<16 != head {
			return nil, false
		}
		part := stored[at+3:][:n:n]
		sum.Write(part)
		parts = append(parts, part)
		at += 3 + n
	}
	return parts, binary.LittleEndian.Uint32(stored[at:]) == uint32(sum.Sum64())
}
