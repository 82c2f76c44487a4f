package archive

import (
	"runtime"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// bufferSize is the size of a buffer for a frame, be it raw or compressed.
const bufferSize = rawPrefix + maxStored + rawSuffix

// Workers compress frames for all writers that share them, so that these use a
// bounded number of processors and reuse their buffers.
type Workers struct {
	busy     chan struct{} // as many places as workers
	free     chan []byte
	pace     pace
	encoders [len(encoderLevels)]struct {
		once sync.Once
		enc  *zstd.Encoder
	}
}

// NewWorkers returns n workers, one per processor if n is not positive.
func NewWorkers(n int) *Workers {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return &Workers{busy: make(chan struct{}, n), free: make(chan []byte, 3*n+1)}
}

// Close gives the memory of the workers back. There is nothing else to end: they
// hold no goroutine while no writer does.
func (w *Workers) Close() {
	for {
		select {
		case <-w.free:
		default:
			return
		}
	}
}

// buffer returns an empty buffer of bufferSize.
func (w *Workers) buffer() []byte {
	select {
	case b := <-w.free:
		return b[:0]
	default:
		return make([]byte, 0, bufferSize)
	}
}

func (w *Workers) release(b []byte) {
	if cap(b) < bufferSize {
		return
	}
	select {
	case w.free <- b:
	default:
	}
}

// encoder returns the encoder of a level, which serves all workers.
func (w *Workers) encoder(l Level) *zstd.Encoder {
	e := &w.encoders[l]
	e.once.Do(func() {
		// These options are always valid.
		e.enc, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(encoderLevels[l]), zstd.WithEncoderConcurrency(cap(w.busy)),
			zstd.WithWindowSize(FrameSize), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	})
	return e.enc
}

// frameJob is one frame on its way from the tar stream to the output.
type frameJob struct {
	buf   []byte        // rawPrefix bytes, then the tar stream; nil once it is compressed
	size  int           // of the tar stream
	out   []byte        // the zstd frame, unless it is raw
	sum   uint32        // checksum of a raw frame
	ready chan struct{} // closed when it is compressed
}

// compress does the job, on a goroutine of its own.
func (w *Workers) compress(j *frameJob, l Level) {
	idle := len(w.busy) == 0
	w.busy <- struct{}{}
	raw := j.buf[rawPrefix:]
	if incompressible(raw) {
		j.sum = uint32(xxhash.Sum64(raw))
	} else {
		if l == Auto {
			l = w.pace.next(idle)
		}
		j.out = w.encoder(l).EncodeAll(raw, w.buffer())
		w.release(j.buf)
		j.buf = nil
	}
	<-w.busy
	close(j.ready)
}
