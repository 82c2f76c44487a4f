package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// manyFiles makes folders of 500 files of 100 to 1,100 bytes, old enough to be read at once.
func manyFiles(b *testing.B, folders int) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "many")
	old := time.Now().Add(-time.Hour)
	for d := range folders {
		sub := filepath.Join(dir, fmt.Sprintf("folder%03d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 500 {
			path := filepath.Join(sub, fmt.Sprintf("file%03d.txt", f))
			if err := os.WriteFile(path, fmt.Appendf(nil, "%0*d", 100+f*2, d*500+f), 0o644); err != nil {
				b.Fatal(err)
			}
			if err := os.Chtimes(path, old, old); err != nil {
				b.Fatal(err)
			}
		}
	}
	return dir
}

const benchFolders = 40

// BenchmarkFirst is a whole first backup into memory: walk, read, hash, pack, encrypt, commit.
func BenchmarkFirst(b *testing.B) {
	dir := manyFiles(b, benchFolders)
	for b.Loop() {
		b.StopTimer()
		m, bench := storagetest.NewMemory(), e2e.New(b, true)
		bench.ArchiveSize = 64 << 20
		if err := bench.Create(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := bench.Backup(b.Context(), m, dir, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchFolders*500*b.N)/b.Elapsed().Seconds(), "files/s")
}

// BenchmarkUnchanged compares a walk with the parent, which has it all.
func BenchmarkUnchanged(b *testing.B) {
	dir := manyFiles(b, benchFolders)
	m, bench := storagetest.NewMemory(), e2e.New(b, true)
	bench.ArchiveSize = 64 << 20
	if err := bench.Create(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	if _, err := bench.Backup(b.Context(), m, dir, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if r, err := bench.Backup(b.Context(), m, dir, nil); err != nil || r.Unchanged != benchFolders*500 {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(float64(benchFolders*500*b.N)/b.Elapsed().Seconds(), "files/s")
}
