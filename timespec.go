package tarn

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// String returns the time as pax headers write it: decimal seconds, and after
// a point nine digits of nanoseconds if there are any, so that
// `touch -d @STRING` sets it. A time before 1970 counts down:
// -1.500000000 is half a second before second -1.
func (t Timespec) String() string { return string(t.Append(nil)) }

// Append appends the form of String to b.
func (t Timespec) Append(b []byte) []byte {
	sec, nsec := t.Sec, int64(t.Nsec)
	if sec < 0 && nsec > 0 {
		sec, nsec = sec+1, 1e9-nsec
		if sec == 0 {
			b = append(b, '-')
		}
	}
	b = strconv.AppendInt(b, sec, 10)
	if nsec == 0 {
		return b
	}
	var d [10]byte
	d[0] = '.'
	for i := 9; i > 0; i-- {
		d[i] = byte('0' + nsec%10)
		nsec /= 10
	}
	return append(b, d[:]...)
}

// ParseTimespec reads the form that String writes.
func ParseTimespec(s string) (Timespec, error) {
	whole, frac, point := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return Timespec{}, fmt.Errorf("time %.40q: want seconds and nine digits of nanoseconds", s)
	}
	if !point {
		return Timespec{Sec: sec}, nil
	}
	nsec, err := strconv.ParseUint(frac, 10, 31)
	if err != nil || len(frac) != 9 {
		return Timespec{}, fmt.Errorf("time %.40q: want nine digits of nanoseconds", s)
	}
	if nsec > 0 && strings.HasPrefix(s, "-") {
		if sec == math.MinInt64 {
			return Timespec{}, fmt.Errorf("time %.40q: out of range", s)
		}
		return Timespec{Sec: sec - 1, Nsec: int32(1e9 - nsec)}, nil
	}
	return Timespec{Sec: sec, Nsec: int32(nsec)}, nil
}

// Time returns t as a time.Time in UTC.
func (t Timespec) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }

// TimespecOf returns the Timespec of t.
func TimespecOf(t time.Time) Timespec {
	return Timespec{Sec: t.Unix(), Nsec: int32(t.Nanosecond())}
}
