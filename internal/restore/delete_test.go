package restore

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// TestUnread compares the look-up with a look at every error.
func TestUnread(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a.b", "b", "a-"}), 1, 4).Draw(rt, "parts"), "/")
		})
		s := &repo.Snapshot{}
		for _, p := range rapid.SliceOfN(path, 0, 8).Draw(rt, "errors") {
			s.Errors = append(s.Errors, repo.EntryError{Path: p})
		}
		d := &deleter{r: &run{Config: Config{Snapshot: s}}, bad: unreadPaths(s)}
		p := path.Draw(rt, "path")
		want := slices.ContainsFunc(s.Errors, func(e repo.EntryError) bool { return tarn.Within(p, e.Path) || tarn.Within(e.Path, p) })
		if got := d.unread(p); got != want {
			rt.Fatalf("%q: %v, want %v", p, got, want)
		}
		if s.ErrorCount = len(s.Errors) + 1; !d.unread(p) {
			rt.Fatal("errors that are not listed spare nothing")
		}
	})
}
