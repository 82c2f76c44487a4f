package drill

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSpans: what spans hold, taken apart and put together, agrees with a map of bytes.
func TestSpans(t *testing.T) {
	spans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Span {
		from := rapid.Int64Range(0, 40).Draw(t, "from")
		return Span{from, from + rapid.Int64Range(-1, 12).Draw(t, "length")}
	}), 0, 8)
	bytes := func(list []Span) (set [64]bool) {
		for _, s := range list {
			for i := s[0]; i < s[1]; i++ {
				set[i] = true
			}
		}
		return set
	}
	ordered := func(list []Span) bool {
		for i, s := range list {
			if s[0] >= s[1] || i > 0 && list[i-1][1] > s[0] {
				return false
			}
		}
		return true
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := spans.Draw(t, "a"), spans.Draw(t, "b")
		before := slices.Clone(a)
		all, rest := merged(append(slices.Clone(a), b...)), without(a, b)
		inA, inB, inAll, inRest := bytes(a), bytes(b), bytes(all), bytes(rest)
		for i := range inA {
			if inAll[i] != (inA[i] || inB[i]) || inRest[i] != (inA[i] && !inB[i]) {
				t.Fatalf("byte %d of %v and %v: merged %v, without %v", i, a, b, all, rest)
			}
		}
		if !ordered(all) || !ordered(rest) || !slices.Equal(a, before) {
			t.Fatalf("out of order or changed: %v, %v, %v", all, rest, a)
		}
		offset, size := rapid.Int64Range(0, 50).Draw(t, "offset"), rapid.Int64Range(1, 10).Draw(t, "size")
		want := true
		for i := offset; i < offset+size; i++ {
			want = want && inAll[i]
		}
		if got := covers(all, offset, size); got != want {
			t.Fatalf("%d bytes from %d in %v: %t", size, offset, all, got)
		}
	})
}

// TestMost: the greatest number that is allowed is found, whatever it is.
func TestMost(t *testing.T) {
	for n := range 40 {
		for limit := range n + 2 {
			asked := 0
			got, err := most(n, func(k int) (bool, error) {
				asked++
				if k < 1 || k > n {
					t.Fatalf("asked about %d of %d", k, n)
				}
				return k <= limit, nil
			})
			if want := min(limit, n); err != nil || got != want || asked > 14 {
				t.Errorf("%d of %d: %d, %v, with %d questions", limit, n, got, err, asked)
			}
		}
	}
}
