package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

func benchmarkWriter(b *testing.B, items []item) {
	for _, encrypted := range []bool{false, true} {
		name := "plain"
		cfg := archive.WriterConfig{Workers: archive.NewWorkers(0)}
		if encrypted {
			name, cfg.Recipients = "encrypted", []age.Recipient{identity.Recipient()}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w, err := archive.NewWriter(io.Discard, cfg)
				if err != nil {
					b.Fatal(err)
				}
				for _, it := range items {
					if _, err := w.AddBytes(&it.entry, it.content); err != nil {
						b.Fatal(err)
					}
				}
				l, err := w.Close()
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(l.Size)
			}
			b.ReportMetric(float64(len(items)*b.N)/b.Elapsed().Seconds(), "members/s")
		})
	}
}

func BenchmarkWriterPhotos(b *testing.B) {
	var items []item
	photo := noise(1, 8<<20)
	for i := range 32 {
		items = append(items, file(fmt.Sprintf("Pictures/2010/IMG_%04d.JPG", i), photo[i:]))
	}
	benchmarkWriter(b, items)
}

func BenchmarkWriterSmall(b *testing.B) {
	var items []item
	for i := range 20_000 {
		it := file(fmt.Sprintf("src/module%03d/package%d/file_%05d.go", i/100, i/10, i), words(uint64(i), 500+i%2000))
		it.entry.MTime = tarn.Timespec{Sec: 1_700_000_000 + int64(i), Nsec: int32(i) * 40_000}
		it.entry.CTime = tarn.Timespec{Sec: 1_700_000_100 + int64(i), Nsec: int32(i) * 41_000}
		it.entry.UID, it.entry.GID, it.entry.User, it.entry.Group = 1000, 1000, "ann", "ann"
		items = append(items, it)
	}
	benchmarkWriter(b, items)
}

func BenchmarkStretch(b *testing.B) {
	for _, encrypted := range []bool{false, true} {
		for _, kind := range []string{"photos", "text"} {
			items := []item{file("a", noise(1, 64<<20))}
			if kind == "text" {
				items = []item{file("a", words(1, 64<<20))}
			}
			o := write(b, encrypted, archive.WriterConfig{}, items)
			r, err := archive.NewReader(o.layout, o.ranger(), o.ids)
			if err != nil {
				b.Fatal(err)
			}
			for _, length := range []int64{10 << 10, 64 << 20} {
				b.Run(fmt.Sprintf("encrypted=%t/%s/%d", encrypted, kind, length), func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(length)
					for b.Loop() {
						s, err := r.Stretch(context.Background(), o.offsets[0], length)
						if err != nil {
							b.Fatal(err)
						}
						if n, err := io.Copy(io.Discard, s); n != length || err != nil {
							b.Fatal(n, err)
						}
						s.Close()
					}
				})
			}
		}
	}
}

func BenchmarkMembers(b *testing.B) {
	for _, encrypted := range []bool{false, true} {
		b.Run(fmt.Sprintf("encrypted=%t", encrypted), func(b *testing.B) {
			o := write(b, encrypted, archive.WriterConfig{}, []item{file("a", noise(1, 64<<20)), file("b", words(1, 64<<20))})
			b.SetBytes(o.layout.Size)
			for b.Loop() {
				for m, err := range archive.Members(context.Background(), bytes.NewReader(o.bytes), o.ids) {
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, m.Content)
				}
			}
		})
	}
}
