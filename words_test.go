package tarn_test

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

func TestTimespec(t *testing.T) {
	for s, want := range map[string]tarn.Timespec{
		"0": {}, "1350244992.023960108": {Sec: 1350244992, Nsec: 23960108}, "-1": {Sec: -1}, "-0.500000000": {Sec: -1, Nsec: 5e8},
		"-1.500000000": {Sec: -2, Nsec: 5e8}, "-0.999999999": {Sec: -1, Nsec: 1}, "9223372036854775807.999999999": {Sec: math.MaxInt64, Nsec: 999999999},
		"-9223372036854775808": {Sec: math.MinInt64}, "-9223372036854775807.999999999": {Sec: math.MinInt64, Nsec: 1},
	} {
		if got := want.String(); got != s {
			t.Errorf("%+v is written %s, want %s", want, got, s)
		}
		if got, err := tarn.ParseTimespec(s); err != nil || got != want {
			t.Errorf("%s is read %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "x", ".5", "1.", "1.5", "1.0000000000", "1.-00000001", "1.+00000001", "1e9", "0x10", " 1", "1 ", "1.000000000.1", "9223372036854775808", "-9223372036854775808.000000001", "--1"} {
		if got, err := tarn.ParseTimespec(s); err == nil {
			t.Errorf("%q is read %+v", s, got)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := tarn.Timespec{Sec: rapid.Int64().Draw(rt, "sec"), Nsec: rapid.Int32Range(0, 1e9-1).Draw(rt, "nsec")}
		if got, err := tarn.ParseTimespec(want.String()); err != nil || got != want {
			rt.Fatalf("%+v: %s is read %+v, %v", want, want, got, err)
		}
		if short := (tarn.Timespec{Sec: want.Sec >> 20, Nsec: want.Nsec}); tarn.TimespecOf(short.Time()) != short {
			rt.Fatalf("%+v: by way of time.Time %+v", short, tarn.TimespecOf(short.Time()))
		}
	})
}

func component(t *rapid.T) string {
	return rapid.StringOfN(rapid.SampledFrom([]rune("a.0-\x01é\xff ")), 1, 4, -1).Draw(t, "component")
}

func path(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.Custom(component), 1, 4).Draw(t, "path")
	return strings.Join(parts, "/")
}

// TestComparePaths: the order of paths is that of their components, which is
// that of a walk, and it is one.
func TestComparePaths(t *testing.T) {
	sign := func(n int) int { return cmp.Compare(n, 0) }
	rapid.Check(t, func(rt *rapid.T) {
		a, b, c := path(rt), path(rt), path(rt)
		if rapid.Bool().Draw(rt, "below") {
			b = a + "/" + b
		}
		got := sign(tarn.ComparePaths(a, b))
		if want := slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")); got != want {
			rt.Fatalf("%q and %q: %d, by components %d", a, b, got, want)
		}
		if got != -sign(tarn.ComparePaths(b, a)) || (got == 0) != (a == b) {
			rt.Fatalf("%q and %q: %d, and the other way %d", a, b, got, tarn.ComparePaths(b, a))
		}
		if got < 0 && tarn.ComparePaths(b, c) < 0 && tarn.ComparePaths(a, c) >= 0 {
			rt.Fatalf("%q < %q < %q, but not the first before the last", a, b, c)
		}
		if tarn.Within(b, a) != (b == a || strings.HasPrefix(b, a+"/")) {
			rt.Fatalf("Within(%q, %q) = %t", b, a, tarn.Within(b, a))
		}
		// What is in a directory lies together.
		if tarn.Within(b, a) && tarn.ComparePaths(a, c) < 0 && tarn.ComparePaths(c, b) < 0 && !tarn.Within(c, a) {
			rt.Fatalf("%q lies between %q and what is in it", c, a)
		}
	})
}

func TestValidPath(t *testing.T) {
	for _, p := range []string{"a", "a/b", "...", "a/...", "-rf", "a b", "\n", "\xff", ".a", "a.", "..a/b.."} {
		if !tarn.ValidPath(p) {
			t.Errorf("%q is refused", p)
		}
	}
	for _, p := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "../a", "a/../b", "a\x00", "\x00"} {
		if tarn.ValidPath(p) {
			t.Errorf("%q is accepted", p)
		}
	}
}

func TestIDs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 253402300799).Draw(rt, "at"), rapid.Int64Range(0, 999999999).Draw(rt, "ns"))
		var random [8]byte
		copy(random[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(rt, "random"))
		id, err := tarn.ParseSnapshotID(tarn.FormatID(at, random))
		if err != nil || id.Time().Unix() != at.Unix() || len(id.Short()) != 8 {
			rt.Fatalf("%s: %v, %v", id, id.Time(), err)
		}
		later := tarn.FormatID(at.Add(time.Second), [8]byte{})
		if at.Unix() < 253402300799 && string(id) >= later {
			rt.Fatalf("%s does not sort before %s", id, later)
		}
	})
	good := "20261123T024639Z-00f1a2b3c4d5e6f7"
	for _, s := range []string{
		"", "-", good[:16], good[:17], good + "0", good[:len(good)-1], strings.ToUpper(good), strings.ToLower(good), " " + good, "../" + good, "20261323T024639Z-00f1a2b3c4d5e6f7",
		"20260230T024639Z-00f1a2b3c4d5e6f7", "20261123T246039Z-00f1a2b3c4d5e6f7", "2026112T0024639Z-00f1a2b3c4d5e6f7", good[:20] + "/" + good[21:], good + "\n",
	} {
		if _, err := tarn.ParseArchiveID(s); err == nil {
			t.Errorf("%q is an archive id", s)
		}
		if _, err := tarn.ParseKeysID(s); err == nil {
			t.Errorf("%q is a keys id", s)
		}
		if !tarn.ArchiveID(s).Time().IsZero() && !strings.HasPrefix(s, "2026") {
			t.Errorf("%q has a time", s)
		}
	}
}

func TestHashes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var h tarn.ContentHash
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "hash"))
		if got, err := tarn.ParseContentHash(h.String()); err != nil || got != h {
			rt.Fatalf("%s: %v, %v", h, got, err)
		}
		if got, err := tarn.ParseTreeID(h.String()); err != nil || tarn.ContentHash(got) != h {
			rt.Fatalf("%s: %v, %v", h, got, err)
		}
	})
	hex := strings.Repeat("ab", 32)
	for _, s := range []string{"", hex[1:], hex + "ab", strings.ToUpper(hex), "g" + hex[1:], hex[:63] + "\n", hex[:62] + "é"} {
		if h, err := tarn.ParseContentHash(s); err == nil {
			t.Errorf("%q is read %s", s, h)
		}
	}
}

func TestClasses(t *testing.T) {
	for _, c := range tarn.Classes {
		if got, err := tarn.ParseClass(string(c)); err != nil || got != c {
			t.Errorf("%s: %v, %v", c, got, err)
		}
		if c.Cold() != (c == tarn.Glacier || c == tarn.DeepArchive) {
			t.Errorf("%s: cold %t", c, c.Cold())
		}
	}
	for _, s := range []string{"", "glacier", "DEEP", "STANDARD "} {
		if c, err := tarn.ParseClass(s); err == nil {
			t.Errorf("%q is read %s", s, c)
		}
	}
}
