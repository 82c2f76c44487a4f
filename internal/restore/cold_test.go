package restore

import (
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// Of several archives that have a content, the nearest is read, and of those that are
// as near, one that is needed anyway.
func TestLocate(t *testing.T) {
	contents, err := catalog.OpenContents(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer contents.Close()
	hash := tarn.ContentHash{1}
	ids := []tarn.ArchiveID{"20261123T024639Z-0000000000000000", "20261123T024639Z-0000000000000001", "20261123T024639Z-0000000000000002"}
	for _, id := range ids {
		a := contents.Add(id)
		a.Content(hash, 0, 10)
		if err := a.Done(); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		ranks  [3]int
		wanted int
		want   int
	}{
		{[3]int{3, 3, 3}, -1, 0}, {[3]int{3, 1, 0}, -1, 2}, {[3]int{3, 1, 1}, -1, 1}, {[3]int{3, 3, 3}, 2, 2}, {[3]int{3, 2, 3}, 2, 1},
	} {
		access := func(id tarn.ArchiveID) Access { return Access{Rank: test.ranks[id[len(id)-1]-'0']} }
		a := &archives{access: access, wanted: map[tarn.ArchiveID]*Need{}}
		if test.wanted >= 0 {
			a.wanted[ids[test.wanted]] = &Need{}
		}
		if at, ok, err := a.locate(contents, hash); err != nil || !ok || at.Archive != ids[test.want] {
			t.Errorf("%+v: %+v, %t, %v", test, at, ok, err)
		}
	}
	a := &archives{access: func(tarn.ArchiveID) Access { return Access{} }}
	if at, ok, err := a.locate(contents, tarn.ContentHash{2}); ok || err != nil {
		t.Errorf("a content that is nowhere: %+v, %v", at, err)
	}
}

// What ends first is read first, and what never ends last.
func TestSooner(t *testing.T) {
	ends := map[tarn.ArchiveID]time.Time{"soon": time.Unix(1, 0), "later": time.Unix(2, 0), "never": {}, "ever": {}}
	a := &archives{access: func(id tarn.ArchiveID) Access { return Access{Until: ends[id]} }}
	order := []tarn.ArchiveID{"soon", "later", "never"}
	for i, x := range order {
		for j, y := range order {
			if got := a.sooner(x, y); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", x, y, got)
			}
		}
	}
	if a.sooner("never", "ever") != 0 || (&archives{}).sooner("soon", "later") != 0 {
		t.Error("what is equal is not")
	}
}
