package scan

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"pgregory.net/rapid"
)

// TestByteOrder: files come in the order of the bytes of their paths, whatever
// directories and files with like names there are, and each directory before
// what is in it.
func TestByteOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "a.b", "a b", "a-", "aa", "a0", "abcdefghi", "abcdefgh", "abcdefgh.x", "abcdefgh0", "é", "$RECYCLE.BIN"})
		paths := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(name, 1, 3).Draw(rt, "path"), "/")
		}), 1, 12).Draw(rt, "paths")
		files := map[string]bool{}
		for _, p := range paths {
			if !slices.ContainsFunc(paths, func(q string) bool { return strings.HasPrefix(q, p+"/") }) {
				files[p] = true
			}
		}
		var list []string
		for p := range files {
			list = append(list, p)
		}
		slices.Sort(list)
		s := open(rt, Config{Path: makeTree(t, list...), Name: "s", ByteOrder: true, KeepSystem: true})
		defer s.Close()
		var got []string
		seen := map[string]bool{}
		for e, err := range s.Entries(context.Background(), Split{Path: "s", Recursive: true}) {
			if err != nil {
				rt.Fatal(err)
			}
			seen[e.Path] = true
			if dir, _ := cut(e.Path); dir != "" && !seen[dir] {
				rt.Fatalf("%s comes before its directory", e.Path)
			}
			if e.Type == tarn.TypeFile {
				got = append(got, strings.TrimPrefix(e.Path, "s/"))
			}
		}
		if !slices.Equal(got, list) {
			rt.Fatalf("%q, want %q", got, list)
		}
	})
}
