package s3

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn/internal/storage"
)

func TestPartSize(t *testing.T) {
	const gib, tib = int64(1) << 30, int64(1) << 40
	tests := []struct {
		bound int64
		n     int32
		want  int64
	}{
		{0, 1, 32 * mib},
		{0, growEvery, 32 * mib},
		{0, growEvery + 1, 64 * mib},
		{0, maxParts, 256 * mib},
		{1, 1, 8 * mib},
		{12 * mib, 1, 12 * mib},
		{512 * mib, 1, 32 * mib},
		{312 * gib, 1, 32 * mib},
		{400 * gib, 1, 41 * mib},
		{5 * tib, 1, 525 * mib},
	}
	for _, test := range tests {
		p := &put{s: &Storage{}, opts: storage.PutOptions{MaxSize: test.bound}}
		if got := p.partSize(test.n); got != test.want {
			t.Errorf("part %d of %d bytes: %d, want %d", test.n, test.bound, got, test.want)
		}
	}
}

// A known bound always fits, in parts that S3 takes.
func TestPartsHoldTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.Int64Range(1, 40<<40).Draw(t, "bound")
		size := (&put{s: &Storage{}, opts: storage.PutOptions{MaxSize: bound}}).partSize(1)
		if size < 5*mib || size*maxParts < bound {
			t.Errorf("%d parts of %d do not hold %d", maxParts, size, bound)
		}
	})
}

func TestWaitsAreBounded(t *testing.T) {
	s := &Storage{cfg: Config{MinDelay: time.Nanosecond, MaxDelay: time.Microsecond}.withDefaults()}
	for _, attempt := range []int{1, 20, 64, 1 << 30} {
		if err := s.wait(t.Context(), attempt); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 5-9/*", "bytes */10", "", "bytes 9-5/10", "bytes 0-9223372036854775807/9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, total, err := parseContentRange(s)
		if err == nil && (start < 0 || start >= total) {
			t.Errorf("%q: from %d of %d", s, start, total)
		}
	})
}

func FuzzParseRestore(f *testing.F) {
	f.Add(`ongoing-request="true"`)
	f.Add(`ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`)
	f.Add(`expiry-date="`)
	f.Fuzz(func(t *testing.T, s string) {
		if thawing, thawed := parseRestore(s); thawing && !thawed.IsZero() {
			t.Errorf("%q: both thawing and thawed", s)
		}
	})
}

func TestChecksumText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Uint64().Draw(t, "sum")
		if got := parseSum(new(formatSum(sum))); got != (storage.Checksum{Sum: sum, Known: true}) {
			t.Errorf("%x came back as %+v", sum, got)
		}
	})
	for _, s := range []string{"", "AAAA", "not base64", "AAAAAAAAAAA=-3"} {
		if got := parseSum(&s); got.Known {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

func TestFailureKeepsItsCause(t *testing.T) {
	cause := errors.New("cause")
	f := &failure{kind: errStalled, cause: cause}
	if !errors.Is(f, cause) || !errors.Is(f, errStalled) {
		t.Error("an error is lost")
	}
}
