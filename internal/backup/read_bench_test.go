package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

// BenchmarkRead opens, reads and hashes one file, as a reader does it: what is small is
// bound by the calls, what is large by SHA-256.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{2 << 10, 4 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "src")
			path, old := filepath.Join(dir, "folder", "file"), time.Now().Add(-time.Hour)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
				b.Fatal(err)
			}
			if err := os.Chtimes(path, old, old); err != nil {
				b.Fatal(err)
			}
			time.Sleep(2 * settle) // or the first read waits for it
			s, err := scan.Open(scan.Config{Path: dir, Name: "src"})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			r := &run{Config: Config{Problem: func(path string, err error) { b.Errorf("%s: %v", path, err) }}, links: newLinkCache()}
			buffer := make([]byte, size+1)
			b.SetBytes(int64(size))
			for b.Loop() {
				e := tarn.Entry{Path: "src/folder/file", Type: tarn.TypeFile, Size: int64(size)}
				if data, err := r.readSmall(s, &e, buffer); err != nil || len(data) != size || e.Content.IsZero() {
					b.Fatal(len(data), err)
				}
			}
		})
	}
}
