// Program bench measures tarn beside its peers, in turn, on one machine.
//
//	go run ./internal/bench [-runs 3] [-tools tarn,restic] [-sets data,small] [-s3=false] [-out docs/benchmarks.md] -tarn bin/tarn
//
// It makes its data sets in -dir (seeded, no download; 3 GB of source, and as
// much again for repositories and restores), takes the peers that it finds on
// the PATH and says how to get the others. In each round every tool backs the
// set up into a fresh encrypted repository, again without a change, and restores
// it; what is compared is the ratio of times within a round, and the median of these.
// Sets are read into the page cache before each round, and the disk is synced
// before each command, so that no tool pays for another's writes.
//
// A round that was measured stays in results.json there: with -resume an interrupted run goes on.
//
// With -tarball it measures `tarn tarball` beside the script whose layout that keeps.
//
// With -growth it measures tarn alone on sets that grow (goal: time linear, memory flat).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// options are the flags.
type options struct {
	dir, tarn, out string
	runs           int
	tools, sets    []string
	s3             bool
	growth, resume bool
	tarball        bool
	turns          string
	files, sizes   []int64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	var tools, sets, files, sizes string
	flag.StringVar(&o.dir, "dir", filepath.Join(os.TempDir(), "tarn-bench"), "folder for sets, repositories and restores")
	flag.StringVar(&o.tarn, "tarn", "bin/tarn", "the program to measure")
	flag.StringVar(&o.out, "out", "", "page whose table is replaced, such as docs/benchmarks.md; else it is printed only")
	flag.IntVar(&o.runs, "runs", 3, "rounds; 0, with -resume, prints what was measured")
	flag.StringVar(&tools, "tools", "", "tools to run, by the first word of their names (default: all that are there)")
	flag.StringVar(&sets, "sets", "data,small", "data sets")
	flag.BoolVar(&o.s3, "s3", true, "also back up to S3 on loopback (needs versitygw)")
	flag.BoolVar(&o.resume, "resume", false, "go on with the rounds that a run before has saved in -dir, of the same program")
	flag.StringVar(&o.turns, "turns", "", "file whose lock is held while something is measured, so that other work on the machine (flock FILE …) takes turns")
	flag.BoolVar(&o.growth, "growth", false, "measure growth instead, tarn alone")
	flag.BoolVar(&o.tarball, "tarball", false, "measure `tarn tarball` beside the script instead; -sets are photos,sources,notes")
	flag.StringVar(&files, "files", "100000,1000000,5000000", "with -growth: numbers of files")
	flag.StringVar(&sizes, "sizes", "1,10,50", "with -growth: gigabytes of a first backup")
	flag.Parse()
	if o.tarball && sets == "data,small" {
		sets = "photos,sources,notes"
	}
	o.tools, o.sets = list(tools), list(sets)
	o.files, o.sizes = numbers(files), numbers(sizes)
	return o
}

// list splits a flag at its commas.
func list(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
}

func numbers(text string) []int64 {
	var out []int64
	for _, s := range list(text) {
		var n int64
		if _, err := fmt.Sscan(s, &n); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %q is no number\n", s)
			os.Exit(2)
		}
		out = append(out, n)
	}
	return out
}

func run(ctx context.Context, o options) error {
	var err error
	if o.tarn, err = filepath.Abs(o.tarn); err != nil {
		return err
	}
	if _, err := os.Stat(o.tarn); err != nil {
		return fmt.Errorf("no program at %s: run make build first, or name it with -tarn", o.tarn)
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Join(o.dir, "trash"))
	if o.growth {
		return growth(ctx, o)
	}
	if o.tarball {
		return compareTarballs(ctx, o)
	}
	return compare(ctx, o)
}

// compare runs all rounds and prints the tables.
func compare(ctx context.Context, o options) error {
	b := bench{options: o, results: map[key][]measure{}, stored: map[key]int64{}, requests: map[key]int{}, done: map[string]bool{}}
	if err := b.load(); err != nil {
		return err
	}
	for _, t := range tools(o.tarn) {
		if len(o.tools) > 0 && !slices.Contains(o.tools, strings.Fields(t.name)[0]) {
			continue
		}
		if !t.present() {
			b.absent = append(b.absent, fmt.Sprintf("%s is missing: %s", t.name, t.missing))
			fmt.Fprintln(os.Stderr, b.absent[len(b.absent)-1])
			continue
		}
		version, _, err := t.version.run(ctx)
		if err != nil {
			return err
		}
		b.tools = append(b.tools, t)
		b.versions = append(b.versions, t.name+": "+strings.Join(strings.Fields(version), " "))
	}
	if o.s3 {
		var err error
		if b.server, err = startServer(ctx, filepath.Join(o.dir, "s3")); err != nil {
			return fmt.Errorf("%w (get it by: %s; or leave S3 out with -s3=false)", err, versitygwMissing)
		}
		defer b.server.stop()
	}
	for _, name := range o.sets {
		s, err := buildSet(o.dir, name)
		if err != nil {
			return err
		}
		b.sets = append(b.sets, s)
		for round := range o.runs {
			if err := b.round(ctx, s, round); err != nil {
				return err
			}
		}
	}
	return b.report(os.Stdout)
}
