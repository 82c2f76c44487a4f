package archive

import (
	"encoding/binary"
	"runtime"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// Workers compress frames for all writers that share them.
type Workers struct {
	jobs chan *frameJob
	done sync.WaitGroup
}

// frameJob is one frame on its way: raw is the tar stream, out what is written.
type frameJob struct {
	level Level
	raw   []byte
	out   []byte
	ready chan struct{}
}

// NewWorkers starts n workers, one per processor if n is 0.
func NewWorkers(n int) *Workers {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	w := &Workers{jobs: make(chan *frameJob, n)}
	for range n {
		w.done.Go(w.work)
	}
	return w
}

// Close ends the workers. No writer may use them any more.
func (w *Workers) Close() {
	close(w.jobs)
	w.done.Wait()
}

func (w *Workers) work() {
	var encoders [4]*zstd.Encoder
	for job := range w.jobs {
		if incompressible(job.raw) {
			job.out = appendRawFrame(job.out[:0], job.raw)
		} else {
			enc := encoders[job.level]
			if enc == nil {
				// These options are always valid.
				enc, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(job.level.zstd()), zstd.WithEncoderConcurrency(1),
					zstd.WithWindowSize(FrameSize), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
				encoders[job.level] = enc
			}
			job.out = enc.EncodeAll(job.raw, job.out[:0])
		}
		close(job.ready)
	}
}

const (
	samples    = 16
	sampleSize = 4096
)

// incompressible looks at samples of a frame: bytes that are spread as evenly
// as noise, in all of them, do not compress.
func incompressible(b []byte) bool {
	if len(b) < samples*sampleSize {
		return false
	}
	even := 0
	step := (len(b) - sampleSize) / (samples - 1)
	for i := range samples {
		var count [256]uint16
		for _, c := range b[i*step:][:sampleSize] {
			count[c]++
		}
		// The sum of squares of 4,096 random bytes is 69,632 on average, with a
		// standard deviation of about 360; text has three times as much.
		sum := 0
		for _, n := range count {
			sum += int(n) * int(n)
		}
		if sum < 72_500 {
			even++
		}
	}
	return even >= samples-1
}

// appendRawFrame appends a zstd frame of raw blocks (RFC 8878, 3.1.1): magic,
// a descriptor that says single segment, content checksum and a 4-byte content
// size, the blocks of at most 128 KiB, and the low half of the XXH64.
func appendRawFrame(b, raw []byte) []byte {
	const maxBlock = 128 << 10
	b = binary.LittleEndian.AppendUint32(b, zstdMagic)
	b = append(b, 2<<6|1<<5|1<<2)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
	sum := uint32(xxhash.Sum64(raw))
	for first := true; first || len(raw) > 0; first = false {
		n := min(len(raw), maxBlock)
		head := uint32(n) << 3 // type 0: raw
		if n == len(raw) {
			head |= 1 // last
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16))
		b = append(b, raw[:n]...)
		raw = raw[n:]
	}
	return binary.LittleEndian.AppendUint32(b, sum)
}
