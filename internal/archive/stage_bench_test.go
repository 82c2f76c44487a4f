package archive

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

// The stages of a Writer one by one: tar headers, frames, age.

func BenchmarkHeader(b *testing.B) {
	var h headers
	e := tarn.Entry{
		Path: "Pictures/2010/IMG_0001.JPG", Type: tarn.TypeFile, Mode: 0o644, UID: 1000, GID: 1000, User: "ann", Group: "ann", Size: 4 << 20,
		MTime: tarn.Timespec{Sec: 1_700_000_000, Nsec: 40_000},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.make(&e, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 0, FrameSize+16)
	for len(text) < FrameSize { // words, of which few are frequent
		text = fmt.Appendf(text, "%x ", uint32(2_654_435_761*uint64(rnd.ExpFloat64()*200)))
	}
	text = text[:FrameSize]
	for _, c := range []struct {
		name    string
		content []byte
		level   Level
	}{
		{"noise", chacha(FrameSize), Default}, {"text/fastest", text, Fastest}, {"text/default", text, Default}, {"text/better", text, Better},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := NewWorkers(1)
			b.SetBytes(FrameSize)
			for b.Loop() {
				j := &frameJob{buf: append(w.buffer()[:rawPrefix], c.content...), size: FrameSize, ready: make(chan struct{})}
				w.compress(j, c.level)
				w.release(j.buf)
				w.release(j.out)
			}
		})
	}
}

func BenchmarkAge(b *testing.B) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{4 << 10, 64 << 20} { // an index, and an archive
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			content := chacha(size)
			b.SetBytes(int64(size))
			for b.Loop() {
				w, err := age.Encrypt(io.Discard, id.Recipient())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.Write(content); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
