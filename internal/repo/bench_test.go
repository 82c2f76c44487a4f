package repo

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

const benchEntries = 20_000

func benchHash(n int) tarn.ContentHash {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// BenchmarkTree writes a tree, and reads it: hashes, JSON and zstd.
func BenchmarkTree(b *testing.B) {
	_, r, _ := newRepository(b, true)
	var entries []tarn.Entry
	for i := range benchEntries {
		entries = append(entries, tarn.Entry{
			Path: fmt.Sprintf("p/folder%02d/file%05d", i/1000, i), Type: tarn.TypeFile, Mode: 0o644, UID: 1000, GID: 1000, User: "ann", Group: "ann",
			Size: int64(100 + i), MTime: tarn.Timespec{Sec: 1_700_000_000 + int64(i)}, CTime: tarn.Timespec{Sec: 1_750_000_000 + int64(i), Nsec: int32(i)}, Content: benchHash(i),
		})
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			writeTree(b, r, "p", entries)
		}
		b.ReportMetric(float64(benchEntries*b.N)/b.Elapsed().Seconds(), "entries/s")
	})
	sp := writeTree(b, r, "p", entries)
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range r.Tree(b.Context(), sp) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != benchEntries {
				b.Fatal(n)
			}
		}
		b.ReportMetric(float64(benchEntries*b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}

// BenchmarkIndex writes an index, and reads it.
func BenchmarkIndex(b *testing.B) {
	_, r, _ := newRepository(b, true)
	id := tarn.ArchiveID(tarn.FormatID(time.Unix(1_790_000_000, 0), [8]byte{1}))
	write := func(b *testing.B) {
		w, err := r.NewIndex(id, "p")
		if err != nil {
			b.Fatal(err)
		}
		for i := range benchEntries {
			if err := w.Add(Content{Hash: benchHash(i), Offset: int64(512 + i*1024), Size: 500, Path: fmt.Sprintf("p/folder%02d/file%05d", i/1000, i)}); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Finish(archive.Layout{Size: benchEntries*1024 + 1024, Frames: []archive.Frame{{Compressed: 1 << 20, Uncompressed: benchEntries*1024 + 1024}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			write(b)
		}
		b.ReportMetric(float64(benchEntries*b.N)/b.Elapsed().Seconds(), "contents/s")
	})
	write(b)
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if _, err := r.Index(b.Context(), id, func(Content) error { n++; return nil }); err != nil || n != benchEntries {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(benchEntries*b.N)/b.Elapsed().Seconds(), "contents/s")
	})
}
