package rebuild

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

// list yields entries through one variable, as a tree does.
func list(paths []string, mode uint32) entries {
	return func(yield func(*tarn.Entry, error) bool) {
		var e tarn.Entry
		for _, p := range paths {
			e = tarn.Entry{Path: p, Type: tarn.TypeFile, Mode: mode}
			if !yield(&e, nil) {
				return
			}
		}
	}
}

// TestMerge holds the merge to a map that later lists overwrite.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		model := map[string]uint32{}
		var lists []entries
		for i := range rapid.IntRange(0, 6).Draw(rt, "lists") {
			paths := rapid.SliceOfDistinct(rapid.StringMatching(`[ab]([./-][ab]){0,3}`), rapid.ID[string]).Draw(rt, "paths")
			slices.SortFunc(paths, tarn.ComparePaths)
			lists = append(lists, list(paths, uint32(i)))
			for _, p := range paths {
				model[p] = uint32(i)
			}
		}
		want := slices.SortedFunc(maps.Keys(model), tarn.ComparePaths)
		var got []string
		for e, err := range merge(lists) {
			if err != nil {
				rt.Fatal(err)
			}
			if e.Mode != model[e.Path] {
				rt.Fatalf("%q of list %d, want of %d", e.Path, e.Mode, model[e.Path])
			}
			got = append(got, e.Path)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("merged to %q, want %q", got, want)
		}
	})
}

func TestMergeError(t *testing.T) {
	broken := errors.New("broken")
	var bad entries = func(yield func(*tarn.Entry, error) bool) {
		if yield(&tarn.Entry{Path: "b"}, nil) {
			yield(nil, broken)
		}
	}
	var last error
	n := 0
	for _, err := range merge([]entries{list([]string{"a", "c"}, 0), bad}) {
		n++
		last = err
	}
	if n != 3 || !errors.Is(last, broken) { // a, b, and then the end
		t.Errorf("%d yields, the last with %v", n, last)
	}
	next, stop := iter.Pull2(merge([]entries{bad, bad}))
	next()
	stop() // does not hang
}

// TestUnchanged: of a later tree, what has changed since or may have is left out.
func TestUnchanged(t *testing.T) {
	when := time.Date(2026, 11, 23, 2, 46, 39, 0, time.UTC)
	at := tarn.SnapshotID(tarn.FormatID(when, [8]byte{}))
	times := map[string]tarn.Timespec{
		"a older": {Sec: when.Unix() - 1}, "b same": {Sec: when.Unix()}, "c after": {Sec: when.Unix(), Nsec: 1}, "d unknown": {},
	}
	var later entries = func(yield func(*tarn.Entry, error) bool) {
		for _, p := range slices.Sorted(maps.Keys(times)) {
			if !yield(&tarn.Entry{Path: p, CTime: times[p]}, nil) {
				return
			}
		}
	}
	var got []string
	for e := range unchanged(later, at) {
		got = append(got, e.Path)
	}
	if !slices.Equal(got, []string{"a older", "b same"}) {
		t.Errorf("kept %q", got)
	}
}
