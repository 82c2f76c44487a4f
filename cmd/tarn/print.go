package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// printJSON prints one document on a line of its own.
func (g *globals) printJSON(v any) error {
	enc := json.NewEncoder(g.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// orEmpty returns a list for JSON: one without elements is [], not null.
func orEmpty[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// say prints a line for people, unless they want none or JSON.
func (g *globals) say(format string, args ...any) {
	if !g.quiet && !g.json {
		fmt.Fprintf(g.stdout, format+"\n", args...)
	}
}

// formatBytes writes a size in binary units with three digits or so.
func formatBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1023.95 && i < len(units)-1 {
		v /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// The sizes that an archive may be cut at. In a smaller one its own headers are
// more than its content, as where a unit was forgotten; a larger one is no object of S3.
const (
	minArchive = 4 << 10
	maxArchive = 5 << 40
)

// parseBytes reads the size of an archive: a number with an optional unit, which
// is binary with or without an i: 512MiB, 512M, 2g, 1048576.
func parseBytes(s string) (int64, error) {
	t := strings.ToUpper(strings.TrimSpace(s))
	t = strings.TrimSuffix(strings.TrimSuffix(t, "B"), "I")
	shift := 0
	if t != "" {
		if i := strings.IndexByte("KMGTP", t[len(t)-1]); i >= 0 {
			shift, t = 10*(i+1), t[:len(t)-1]
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(t), 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("size %q: want a whole number and a unit, such as 512MiB", s)
	}
	if n > maxArchive>>shift || n<<shift < minArchive {
		return 0, fmt.Errorf("size %q: want 4KiB to 5TiB, such as 512MiB", s)
	}
	return n << shift, nil
}

// formatCount writes n with commas, and the noun in its number.
func formatCount(n int64, one, many string) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n == 1 {
		return s + " " + one
	}
	return s + " " + many
}

func formatTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func formatDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// printable shows a name on one line of a terminal: control characters and
// bytes that are not text can't move the cursor or forge a line.
func printable(name string) string {
	if strings.ContainsFunc(name, unprintable) {
		return strconv.Quote(name)
	}
	return name
}

func unprintable(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }
