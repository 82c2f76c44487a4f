package backup

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// TestFewObjects plans a terabyte of photos, of which no byte is there, by the
// very rules that look ahead and cut archives: few cold objects, and cents of requests.
// What a split has left over is in its last archive, if it is at most a quarter of one.
func TestFewObjects(t *testing.T) {
	prices, err := price.Embedded().Find(price.AWS, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	const mb = 1_000_000
	for _, test := range []struct {
		folders, photos int
		size, spread    int64
		objects         int // at most
	}{
		{500, 500, 4 * mb, 0, 2100},        // 250,000 photos
		{2000, 130, 4 * mb, 0, 2100},       // a folder for an afternoon
		{500, 500, 4 * mb, 3 * mb, 2100},   // of 1 to 7 MB each
		{100, 2749, 4 * mb, 2 * mb, 2100},  // a TiB to the megabyte
		{1, 274_878, 4 * mb, 2 * mb, 2100}, // in one folder
		{500, 550, 4 * mb, 0, 2100},        // the same TiB, where each folder has 4 full archives and a rest
	} {
		t.Run(fmt.Sprintf("%dx%dx%d-%d", test.folders, test.photos, test.size, test.spread), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			r := &run{Config: Config{ArchiveSize: 512 << 20, Class: tarn.DeepArchive, ClassOf: bill.Chooser(prices, tarn.DeepArchive)}}
			var content int64
			for range test.folders {
				p := &packer{r: r}
				ahead := ahead{limit: r.grown() - r.ArchiveSize}
				take := func(end bool) {
					for it := ahead.next(end); it != nil; it = ahead.next(end) {
						p.rest = it.rest
						p.plan(&it.entry)
					}
				}
				for range test.photos {
					e := tarn.Entry{Type: tarn.TypeFile, Size: test.size - test.spread}
					if test.spread > 0 {
						e.Size += rnd.Int64N(2 * test.spread)
					}
					content += e.Size
					ahead.put(&item{entry: e, planned: true})
					take(false)
				}
				take(true)
				p.cutPlan()
			}
			plan := bill.Plan{Trees: int64(test.folders), Snapshots: 1}
			cold, planned := 0, int64(0)
			for _, a := range r.result.Made {
				plan.Archives = append(plan.Archives, bill.Objects{Class: a.Class, Count: 1, Size: a.Size})
				planned += a.Size
				if a.Class.Cold() {
					cold++
				}
				if a.Size > 641<<20 {
					t.Errorf("an archive of %d bytes", a.Size)
				}
			}
			if planned < content || planned > content+content/100 {
				t.Errorf("%d bytes of content are planned as %d", content, planned)
			}
			cost, err := bill.Estimate(prices, storage.Metered{}, plan)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.3f TiB: %d cold objects, %d requests, %s", float64(content)/(1<<40), cold, cost.Requests, cost.Once.Sum(price.GroupRequests))
			if cold > test.objects || cold != len(r.result.Made) {
				t.Errorf("%d cold objects of %d, want at most %d", cold, len(r.result.Made), test.objects)
			}
			limit, err := price.ParseMoney("0.40")
			if err != nil {
				t.Fatal(err)
			}
			if sum := cost.Once.Sum(price.GroupRequests); sum.Cmp(limit) >= 0 || sum.Free() {
				t.Errorf("requests for %s", sum)
			}
		})
	}
}
