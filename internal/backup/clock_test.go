package backup

import (
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// TestClock: a run's ids sort after the newest snapshot, however far ahead of
// this machine's clock that is, and never need five digits for their year.
func TestClock(t *testing.T) {
	contents, err := catalog.OpenContents(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer contents.Close()
	now := time.Date(2026, 11, 23, 1, 2, 3, 4, time.UTC)
	for _, ahead := range []time.Duration{-time.Hour, time.Second, 300 * 24 * time.Hour} {
		newest := tarn.SnapshotID(tarn.FormatID(now.Add(ahead), [8]byte{0xff}))
		r := newRun(Config{Contents: contents, Newest: newest, Now: func() time.Time { return now }})
		if id := tarn.SnapshotID(r.newID()); id <= newest || id.Time().Before(now.Truncate(time.Second)) {
			t.Errorf("%s after %s at %s", id, newest, now)
		}
	}
	for name, cfg := range map[string]Config{
		"newest": {Newest: "99991231T235959Z-0000000000000000", Now: func() time.Time { return now }},
		"clock":  {Now: func() time.Time { return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	} {
		cfg.Contents, cfg.DryRun = contents, true
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "9999") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
