package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"pgregory.net/rapid"
)

// failer is *testing.T or *rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func open(t failer, cfg Config) *Source {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// walked is what walking a whole source gave.
type walked struct {
	splits  []Split
	entries []tarn.Entry // in the order of the splits
	errs    map[string]error
}

func walkAll(t failer, s *Source) walked {
	t.Helper()
	w := walked{errs: map[string]error{}}
	for sp, err := range s.Splits(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		w.splits = append(w.splits, sp)
		last := ""
		for e, err := range s.Entries(context.Background(), sp) {
			if err != nil {
				w.errs[e.Path] = err
				continue
			}
			if last != "" && tarn.ComparePaths(last, e.Path) >= 0 {
				t.Fatalf("split %q: %q after %q", sp.Path, e.Path, last)
			}
			last = e.Path
			w.entries = append(w.entries, e)
		}
	}
	return w
}

// walkNames returns the paths below the root, sorted, of a walk that must have no errors.
func walkNames(t failer, cfg Config) []string {
	t.Helper()
	s := open(t, cfg)
	defer s.Close()
	w := walkAll(t, s)
	if len(w.errs) > 0 {
		t.Fatal(w.errs)
	}
	var paths []string
	for _, e := range w.entries {
		if e.Path != cfg.Name {
			paths = append(paths, strings.TrimPrefix(e.Path, cfg.Name+"/"))
		}
	}
	return paths
}

// firstDifference sorts both lists and tells where they part.
func firstDifference(got, want []string) string {
	slices.Sort(got)
	slices.Sort(want)
	for i := range max(len(got), len(want)) {
		switch {
		case i == len(got) || i < len(want) && want[i] < got[i]:
			return fmt.Sprintf("missing: %q", want[i])
		case i == len(want) || got[i] < want[i]:
			return fmt.Sprintf("too much: %q", got[i])
		}
	}
	return ""
}

var oddNames = []string{"a", "b", "a.b", "a-b", "-rf", "new\nline", "\xff\xfe", "é", "sp ace", "$HOME", "0", "ab", "abc", "aaaaaaaa1", "aaaaaaaa2",
	strings.Repeat("x", 255), "!", "~", "\x01"}

// drawTree makes a random tree of directories, files and links below top.
func drawTree(t *rapid.T, top string) {
	dirs := []string{top}
	for range rapid.IntRange(0, 60).Draw(t, "entries") {
		dir := rapid.SampledFrom(dirs).Draw(t, "in")
		path := filepath.Join(dir, rapid.SampledFrom(oddNames).Draw(t, "name"))
		if _, err := os.Lstat(path); err == nil || len(path) > 3000 {
			continue
		}
		var err error
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0, 1:
			err = os.Mkdir(path, 0o755)
			dirs = append(dirs, path)
		case 2:
			err = os.WriteFile(path, []byte("x"), 0o644)
		case 3:
			err = os.Symlink("nowhere", path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestOrderAndPartition checks on random trees, for each split depth, that the
// splits hold each entry once, all of them, in order, and that a split by itself
// gives the same as in step with Splits.
func TestOrderAndPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		top, err := os.MkdirTemp("", "scan")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(top)
		drawTree(t, top)
		var want []string
		if err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			want = append(want, "src"+strings.TrimPrefix(path, top))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want, tarn.ComparePaths)
		for depth := range 4 {
			checkPartition(t, Config{Path: top, Name: "src", SplitDepth: depth}, want)
		}
	})
}

func checkPartition(t *rapid.T, cfg Config, want []string) {
	s := open(t, cfg)
	defer s.Close()
	s.ahead.maxUnits = rapid.SampledFrom([]int{0, 20, aheadUnits}).Draw(t, "read ahead")
	s.ahead.maxNames = rapid.SampledFrom([]int{1, 3, aheadNames}).Draw(t, "names read ahead")
	w := walkAll(t, s)
	if len(w.errs) > 0 {
		t.Fatal(w.errs)
	}
	var got []string
	for _, e := range w.entries {
		got = append(got, e.Path)
	}
	if cfg.SplitDepth == 0 && !slices.Equal(got, want) {
		t.Fatalf("order: got %q, want %q", got, want)
	}
	slices.SortFunc(got, tarn.ComparePaths)
	if !slices.Equal(got, want) {
		t.Fatalf("depth %d: got %q, want %q", cfg.SplitDepth, got, want)
	}
	if !slices.IsSortedFunc(w.splits, func(a, b Split) int { return tarn.ComparePaths(a.Path, b.Path) }) {
		t.Fatalf("splits out of order: %v", w.splits)
	}
	i := 0
	for _, sp := range w.splits {
		depth := strings.Count(sp.Path, "/")
		if depth > cfg.SplitDepth || sp.Recursive != (depth == cfg.SplitDepth) {
			t.Fatalf("depth %d: split %q, recursive %v", cfg.SplitDepth, sp.Path, sp.Recursive)
		}
		for e, err := range s.Entries(context.Background(), Split{Path: sp.Path, Recursive: sp.Recursive}) {
			if err != nil || e.Path != w.entries[i].Path {
				t.Fatalf("split %q by itself: %q (%v), want %q", sp.Path, e.Path, err, w.entries[i].Path)
			}
			if d := strings.Count(strings.TrimPrefix(e.Path, sp.Path), "/"); !sp.Recursive && d > 1 {
				t.Fatalf("split %q holds %q", sp.Path, e.Path)
			}
			i++
		}
	}
}

// TestLargeDirectory has more names than are read ahead, in several chunks,
// below a directory that is read ahead, with directories among them.
func TestLargeDirectory(t *testing.T) {
	top := t.TempDir()
	large := filepath.Join(top, "m", "large")
	for _, d := range []string{"a", "z", "m/large"} {
		if err := os.MkdirAll(filepath.Join(top, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "one"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const n = 3500
	for i := range n {
		path := filepath.Join(large, fmt.Sprintf("%06d", i))
		var err error
		if i%100 == 0 {
			err = os.MkdirAll(filepath.Join(path, "in"), 0o755)
		} else {
			err = os.Link(filepath.Join(top, "one"), path) // cheaper than a file, where links are many
		}
		if err != nil {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for depth := range 4 {
		s := open(t, Config{Path: top, Name: "s", SplitDepth: depth})
		defer s.Close()
		s.ahead.maxNames = 2000
		w := walkAll(t, s)
		if want := n + (n+99)/100 + 6; len(w.entries) != want || len(w.errs) > 0 {
			t.Errorf("depth %d: %d entries, want %d; errors %v", depth, len(w.entries), want, w.errs)
		}
	}
}

// TestManySmallDirectories holds more than the look-ahead may, with walks that
// end early in between, and finds the look-ahead empty afterwards.
func TestManySmallDirectories(t *testing.T) {
	top := t.TempDir()
	for i := range 2500 {
		if err := os.MkdirAll(filepath.Join(top, fmt.Sprint(i%70), fmt.Sprint(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Config{Path: top, Name: "s", SplitDepth: 1})
	total := 0
	for sp, err := range s.Splits(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for range s.Entries(t.Context(), sp) {
			break
		}
		for _, err := range s.Entries(t.Context(), sp) {
			if err != nil {
				t.Fatal(err)
			}
			total++
		}
	}
	if total != 2571 {
		t.Errorf("%d entries, want 2571", total)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.ahead.held != 0 || len(s.ahead.waiting) != 0 || s.ahead.workers != 0 {
		t.Errorf("after the walk: %d units held, %d tasks, %d workers", s.ahead.held, len(s.ahead.waiting), s.ahead.workers)
	}
}

// TestConcurrentWalks iterates splits at the same time as Splits goes on.
func TestConcurrentWalks(t *testing.T) {
	top := t.TempDir()
	for i := range 40 {
		dir := filepath.Join(top, fmt.Sprint(i), "d")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 30 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(j)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := open(t, Config{Path: top, Name: "s", SplitDepth: 1})
	defer s.Close()
	counts := make(chan int)
	started := 0
	for sp, err := range s.Splits(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		started++
		go func() {
			n := 0
			for _, err := range s.Entries(context.Background(), sp) {
				if err == nil {
					n++
				}
			}
			counts <- n
		}()
	}
	total := 0
	for range started {
		total += <-counts
	}
	if want := 1 + 40*32; total != want {
		t.Errorf("%d entries, want %d", total, want)
	}
}

func TestCancelled(t *testing.T) {
	top := t.TempDir()
	for i := range 10 {
		if err := os.MkdirAll(filepath.Join(top, fmt.Sprint(i), "x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Config{Path: top, Name: "s", SplitDepth: 0})
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	after := 0
	for _, err := range s.Entries(ctx, Split{Path: "s", Recursive: true}) {
		cancel()
		last = err
		after++
	}
	if !errors.Is(last, context.Canceled) || after > 12 {
		t.Errorf("Entries ended with %v after %d pairs, want context.Canceled soon", last, after)
	}
	last = nil
	for _, err := range s.Splits(ctx) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Splits ended with %v, want context.Canceled", last)
	}
}
