package drill

import (
	"cmp"
	"slices"
	"sort"
)

// Span is a stretch of the tar stream of an archive, from a byte to before
// another: from the beginning of a content to the end of it or of a later one, with
// no content in between that does not belong to it.
type Span [2]int64

// compareSpans orders spans by where they begin.
func compareSpans(a, b Span) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// merged returns spans in order, those that touch as one, and no empty ones.
func merged(spans []Span) (list []Span) {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, compareSpans)
	for _, s := range spans {
		switch n := len(list); {
		case s[0] < 0 || s[0] >= s[1]: // not of this program's making
		case n > 0 && s[0] <= list[n-1][1]:
			list[n-1][1] = max(list[n-1][1], s[1])
		default:
			list = append(list, s)
		}
	}
	return list
}

// without returns what of a is not in b.
func without(a, b []Span) (rest []Span) {
	b = merged(b)
	for _, s := range merged(a) {
		for _, cut := range b {
			if cut[1] <= s[0] || cut[0] >= s[1] {
				continue
			}
			if cut[0] > s[0] {
				rest = append(rest, Span{s[0], cut[0]})
			}
			s[0] = cut[1]
		}
		if s[0] < s[1] {
			rest = append(rest, s)
		}
	}
	return rest
}

// covers reports whether size bytes from offset lie in one of the spans, which
// are merged.
func covers(spans []Span, offset, size int64) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i][1] > offset })
	return i < len(spans) && spans[i][0] <= offset && size <= spans[i][1]-offset
}
