package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// benchFolder makes files empty files in folders folders below a new folder.
func benchFolder(b *testing.B, folders, files int) string {
	b.Helper()
	top := b.TempDir()
	for i := range folders {
		dir := filepath.Join(top, fmt.Sprintf("%04d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range files / folders {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("IMG_2023%04d_%05d.jpg", i, j*7919%100000)))
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	}
	return top
}

// BenchmarkEntries walks 30,000 files in 60 folders: as one split, and as 61.
func BenchmarkEntries(b *testing.B) {
	top := benchFolder(b, 60, 30_000)
	for depth := range 2 {
		for _, excludes := range [][]string{nil, {"*.tmp", "/cache/", "**/node_modules/**", "IMG_*.png"}} {
			b.Run(fmt.Sprintf("depth=%d/excludes=%d", depth, len(excludes)), func(b *testing.B) {
				s, err := Open(Config{Path: top, Name: "p", SplitDepth: depth, Excludes: excludes, IgnoreFile: ".tarnignore"})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				b.ReportAllocs()
				for b.Loop() {
					if n := countEntries(b, s); n != 30_061 {
						b.Fatalf("%d entries", n)
					}
				}
			})
		}
	}
}

func countEntries(b *testing.B, s *Source) int {
	n := 0
	for sp, err := range s.Splits(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range s.Entries(b.Context(), sp) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	return n
}

// BenchmarkFolder walks the folder that TARN_BENCH_FOLDER names, to compare
// with find on the same one.
func BenchmarkFolder(b *testing.B) {
	top := os.Getenv("TARN_BENCH_FOLDER")
	if top == "" {
		b.Skip("TARN_BENCH_FOLDER names no folder")
	}
	s, err := Open(Config{Path: top, Name: "p", SplitDepth: 1, IgnoreFile: ".tarnignore"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		b.ReportMetric(float64(countEntries(b, s)), "entries")
	}
}
