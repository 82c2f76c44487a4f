package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// median returns the middle of the values, or 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// seconds returns the median time of an action.
func (b *bench) seconds(tool, set string, a action) float64 {
	var all []float64
	for _, m := range b.results[key{tool, set, a}] {
		all = append(all, m.Seconds)
	}
	return median(all)
}

// ratio returns the median over the rounds of tarn's time by that of a peer.
func (b *bench) ratio(peer, set string, a, peers action) float64 {
	ours, theirs := b.results[key{"tarn", set, a}], b.results[key{peer, set, peers}]
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		all = append(all, ours[i].Seconds/theirs[i].Seconds)
	}
	return median(all)
}

// memory returns the largest resident set of a tool on a set in any run, in MB.
func (b *bench) memory(tool, set string) int64 {
	var most int64
	for k, all := range b.results {
		for _, m := range all {
			if k.tool == tool && k.set == set {
				most = max(most, m.Memory)
			}
		}
	}
	return most / 1e6
}

// report prints the tables, and puts them into the page if one is named.
func (b *bench) report(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "Measured on %s: %s, %d rounds of `make bench`.\n\n", strings.Join(b.dates, ", "), machine(), b.rounds(""))
	for i, v := range slices.Concat(b.versions, b.absent) {
		fmt.Fprintf(&out, "- %s", v)
		if i < len(b.versions) {
			fmt.Fprint(&out, b.fewer(b.tools[i].name))
		}
		fmt.Fprintln(&out)
	}
	for _, s := range b.sets {
		fmt.Fprintf(&out, "\n**%s**: %d files, %.2f GB. Medians; in brackets tarn's time by the peer's, the median of the ratios within each round.\n\n", s.Name, s.Files, float64(s.Bytes)/1e9)
		b.table(&out, s.Name)
	}
	fmt.Fprintf(&out, "\n| goal | limit | measured | |\n|---|---|---|---|\n")
	for _, g := range b.goals() {
		met := "met"
		if g.value > g.limit {
			met = "**not met**"
		}
		fmt.Fprintf(&out, "| %s | %.4g | %.3g | %s |\n", g.what, g.limit, g.value, met)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return err
	}
	return replace(b.out, "bench", out.String())
}

// rounds returns in how many rounds a tool was, or with no name the most that any was in.
func (b *bench) rounds(tool string) int {
	rounds := 0
	for k, all := range b.results {
		if tool == "" || k.tool == tool {
			rounds = max(rounds, len(all))
		}
	}
	return rounds
}

// fewer says so of a tool that was not in each round.
func (b *bench) fewer(tool string) string {
	if n, of := b.rounds(tool), b.rounds(""); n < of {
		return fmt.Sprintf(" (in %d of %d rounds)", n, of)
	}
	return ""
}

func (b *bench) table(out io.Writer, set string) {
	fmt.Fprintln(out, "| | first | again | restore | stored MB | peak MB | to S3 | requests |\n|---|---|---|---|---|---|---|---|")
	for _, t := range b.tools {
		cell := func(a action) string {
			if len(b.results[key{t.name, set, a}]) == 0 {
				return ""
			}
			text := fmt.Sprintf("%.2f s", b.seconds(t.name, set, a))
			if r := b.ratio(t.name, set, a, a); t.name != "tarn" && r > 0 {
				text += fmt.Sprintf(" (%.2f)", r)
			}
			return text
		}
		stored, requests := "", ""
		if n := b.stored[key{t.name, set, first}]; n > 0 {
			stored = fmt.Sprint(n / 1e6)
		}
		if n := b.requests[key{t.name, set, toS3}]; n > 0 {
			requests = fmt.Sprint(n)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %d | %s | %s |\n", t.name, cell(first), cell(again), cell(restore), stored, b.memory(t.name, set), cell(toS3), requests)
	}
}

// goal is a figure that must not be above a limit.
type goal struct {
	what         string
	limit, value float64
}

// goals returns those whose tools and sets were measured.
func (b *bench) goals() []goal {
	var all []goal
	time := func(what, set string, a action, peer string, limit float64) {
		peers := a
		if r := b.ratio(peer, set, a, peers); r > 0 {
			all = append(all, goal{fmt.Sprintf("%s, `%s`, by %s", what, set, peer), limit, r})
		}
	}
	tar := "tar | zstd -T2"
	time("first backup", "data", first, "restic", 0.40)
	time("first backup", "data", first, tar, 1.3)
	time("first backup", "small", first, "restic", 0.40)
	time("first backup", "small", first, tar, 1.8)
	time("unchanged backup", "small", again, "restic", 0.10)
	time("unchanged backup", "small", again, "find", 1.2)
	if s := b.seconds("tarn", "data", again); s > 0 {
		all = append(all, goal{"unchanged backup, `data`, seconds", 0.10, s})
	}
	time("restore", "data", restore, "restic", 0.6)
	time("restore", "small", restore, "restic", 0.45)
	time("restore", "small", restore, tar, 1.5)
	if s := b.seconds("tarn", "data", one); s > 0 {
		all = append(all, goal{"restore of one file of 1 MB, seconds", 0.2, s},
			goal{"restore of one file of 1 MB, MB read from the repository", 8, float64(b.oneFile.bytes) / 1e6})
	}
	for _, s := range b.sets {
		all = append(all, b.setGoals(s.Name)...)
	}
	return all
}

// setGoals returns the goals that hold for every set: S3, stored bytes and memory.
func (b *bench) setGoals(set string) []goal {
	var all []goal
	peer := "restic"
	if k := b.seconds("kopia", set, toS3); k > 0 && k < b.seconds("restic", set, toS3) {
		peer = "kopia"
	}
	if r := b.ratio(peer, set, toS3, toS3); r > 0 {
		all = append(all, goal{fmt.Sprintf("first backup to S3, `%s`, by %s", set, peer), 0.6, r})
	}
	if n := b.requests[key{"tarn", set, toS3}]; n > 0 && set == "data" {
		all = append(all, goal{"requests of a first backup to S3, `data`", 100, float64(n)})
	}
	least := map[string]float64{"data": 1.01, "small": 1.1}
	var smallest int64
	for k, n := range b.stored {
		if k.set == set && (k.tool == "restic" || k.tool == "kopia" || k.tool == "borg") && (smallest == 0 || n < smallest) {
			smallest = n
		}
	}
	if n := b.stored[key{"tarn", set, first}]; n > 0 && smallest > 0 {
		all = append(all, goal{fmt.Sprintf("stored bytes, `%s`, by the smallest peer", set), least[set], float64(n) / float64(smallest)})
	}
	if m := b.memory("tarn", set); m > 0 {
		all = append(all, goal{fmt.Sprintf("peak memory on `%s`, MB", set), 200, float64(m)})
	}
	return all
}

// machine names the processor, its cores and the memory.
func machine() string {
	text := fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return text
	}
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return text + " of " + strings.TrimSpace(model)
		}
	}
	return text
}

// replace puts text between the marks of that name in a page. No page is no error.
func replace(page, name, text string) error {
	if page == "" {
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begin, end := fmt.Sprintf("<!-- %s: begin -->\n", name), fmt.Sprintf("<!-- %s: end -->", name)
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the lines %q and %q between which the table goes", page, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(page, []byte(before+begin+text+end+after), 0o666)
}
