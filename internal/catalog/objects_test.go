package catalog_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// TestObjects: what was noted is there in the next run, the last note of an
// archive counts, and a spoiled line spoils no other.
func TestObjects(t *testing.T) {
	dir := t.TempDir()
	note := func(list map[tarn.ArchiveID]catalog.Object) {
		t.Helper()
		c, err := catalog.OpenContents(dir)
		if err == nil {
			err = c.NoteObjects(list)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	one, two := tarn.ArchiveID("20261123T024639Z-00f1a2b3c4d5e6f7"), tarn.ArchiveID("20261123T024640Z-00f1a2b3c4d5e6f7")
	note(nil)
	note(map[tarn.ArchiveID]catalog.Object{one: {Key: "archives/a b/" + string(one) + ".tar.zst", Stored: 5}, two: {Key: "archives/x", Stored: 1}})
	f, err := os.OpenFile(filepath.Join(dir, "objects"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("2026 x\n\n" + string(one) + " five key\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	note(map[tarn.ArchiveID]catalog.Object{two: {Key: "archives/two", Stored: 2}})
	c, err := catalog.OpenContents(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Objects()
	want := map[tarn.ArchiveID]catalog.Object{one: {Key: "archives/a b/" + string(one) + ".tar.zst", Stored: 5}, two: {Key: "archives/two", Stored: 2}}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
