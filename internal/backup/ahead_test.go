package backup_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestLastArchive: the last archive of a folder takes the rest of it, if that is at
// most a quarter of an archive, and what did not change counts for nothing.
func TestLastArchive(t *testing.T) {
	const size = 100_000 // of which ten fill an archive of 1 MiB
	for _, test := range []struct {
		files    int
		archives []int64 // their sizes in files, sorted
	}{
		{5, []int64{5}},
		{10, []int64{10}},
		{12, []int64{12}},
		{13, []int64{3, 10}},
		{32, []int64{10, 10, 12}},
	} {
		t.Run(fmt.Sprint(test.files), func(t *testing.T) {
			m := storagetest.NewMemory()
			b := e2e.New(t, false)
			if err := b.Create(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			run := func(want []int64) {
				t.Helper()
				res, err := b.Backup(t.Context(), m, dir, func(c *backup.Config) { c.ArchiveSize, c.Class = 1<<20, tarn.Standard })
				if err != nil {
					t.Fatal(err)
				}
				var got []int64
				for _, a := range res.Made {
					got = append(got, a.Size/size)
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("archives of %v files, want %v", got, want)
				}
			}
			for i := range test.files {
				e2e.Write(t, filepath.Join(dir, fmt.Sprintf("old/%03d", 2*i)), e2e.Content(uint64(i), size))
			}
			run(test.archives)
			for i := range test.files {
				e2e.Write(t, filepath.Join(dir, fmt.Sprintf("old/%03d", 2*i+1)), e2e.Content(uint64(1000+i), size))
			}
			run(test.archives)
			b.Restored(t.Context(), m, dir)
		})
	}
}
