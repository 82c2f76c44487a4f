package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The programs of the comparison with -tarball.
const (
	byScript = "the script"
	byTarn   = "tarn tarball"
	byTimes  = "tarn tarball --trust-mtime"
)

// theScript is a copy of the script, as the tests use it, in the project's folder.
const theScript = "internal/tarball/testdata/script.sh"

// tarballSets are those of -tarball, by what a split depth of 1 makes of them.
var tarballSets = map[string]func(dir string) error{"photos": buildPhotos, "sources": buildSources, "notes": buildNotes}

// buildPhotos makes 80 photos of 2 to 6 MB in 4 albums.
func buildPhotos(dir string) error {
	noise := rand.NewChaCha8([32]byte{2})
	sizes := rand.New(rand.NewPCG(3, 4))
	for i := range 80 {
		path := filepath.Join(dir, fmt.Sprintf("album%d", i%4), fmt.Sprintf("IMG_%04d.jpg", i))
		if err := writeFile(path, io.LimitReader(noise, 2_000_000+sizes.Int64N(4_000_001)), i); err != nil {
			return err
		}
	}
	return nil
}

// buildSources copies the sources of Go, as one folder.
func buildSources(dir string) error {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("asking go for its folder: %w", err)
	}
	return copyTree(filepath.Join(strings.TrimSpace(string(goroot)), "src"), filepath.Join(dir, "go"))
}

// buildNotes makes 20,000 small texts in 4 folders.
func buildNotes(dir string) error {
	text := newProse(9)
	for i := range 20_000 {
		path := filepath.Join(dir, fmt.Sprintf("folder%d", i%4), fmt.Sprintf("note%05d.txt", i))
		if err := writeFile(path, text.file(), i); err != nil {
			return err
		}
	}
	return nil
}

// compareTarballs measures `tarn tarball` beside the script that it takes over
// from: a first run, and one in which nothing has changed.
func compareTarballs(ctx context.Context, o options) error {
	b := bench{options: o, results: map[key][]measure{}, stored: map[key]int64{}, requests: map[key]int{}}
	for _, p := range []string{"bash", "parallel", "md5sum", "rclone", "aws"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("the script needs %s: %w", p, err)
		}
	}
	for _, line := range []string{"bash --version | head -n 1", "parallel --version | head -n 1", "rclone version | head -n 1", "aws --version", "gzip --version | head -n 1"} {
		version, _, err := shell(line).run(ctx)
		if err != nil {
			return err
		}
		b.versions = append(b.versions, strings.TrimSpace(version))
	}
	var err error
	if b.server, err = startServer(ctx, filepath.Join(o.dir, "tarball-s3")); err != nil {
		return fmt.Errorf("%w (get it by: %s)", err, versitygwMissing)
	}
	defer b.server.stop()
	for _, name := range o.sets {
		builders[name] = tarballSets[name]
		if builders[name] == nil {
			return fmt.Errorf("no data set %q with -tarball", name)
		}
		s, err := buildSet(o.dir, name)
		if err != nil {
			return err
		}
		b.sets = append(b.sets, s)
		for round := range o.runs {
			if err := b.tarballRound(ctx, s, round); err != nil {
				return err
			}
		}
	}
	return b.reportTarballs(os.Stdout)
}

// tarballRound lets the script and tarn each do a first run and one without changes.
func (b *bench) tarballRound(ctx context.Context, s set, round int) error {
	if err := warm(ctx, s.dir); err != nil {
		return err
	}
	home := filepath.Join(b.dir, "home", "tarball")
	if err := os.MkdirAll(home, 0o777); err != nil {
		return err
	}
	bucket := b.server.bucketName("tarball")
	for _, who := range []string{byScript, byTarn} {
		name := fmt.Sprintf("%s-%d-%s", s.Name, round, strings.Fields(who)[0])
		run := b.tarballCommand(who, bucket, name, s.dir, home)
		for _, a := range []action{first, again} {
			if _, err := b.timed(ctx, tool{name: who}, s, a, home, run); err != nil {
				return err
			}
		}
		if who == byTarn {
			if _, err := b.timed(ctx, tool{name: byTimes}, s, again, home, b.tarballCommand(byTimes, bucket, name, s.dir, home)); err != nil {
				return err
			}
		}
		_, stored, err := count(filepath.Join(b.server.root, bucket, name))
		if err != nil {
			return err
		}
		b.stored[key{who, s.Name, first}] = stored
	}
	if err := b.discard(filepath.Join(b.server.root, bucket)); err != nil {
		return err
	}
	return b.discard(home)
}

func (b *bench) tarballCommand(who, bucket, name, source, home string) command {
	env := slices.Concat(b.server.credentials(), []string{"HOME=" + home, "XDG_CACHE_HOME=" + home + "/cache", "AWS_ENDPOINT_URL_S3=" + b.server.url})
	if who == byScript {
		return command{args: []string{"bash", theScript, bucket, name, source, "1", "STANDARD"}, env: append(env,
			"RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_BACKUP_TYPE=s3", "RCLONE_CONFIG_BACKUP_PROVIDER=Other", "RCLONE_CONFIG_BACKUP_ENDPOINT="+b.server.url,
			"RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID=bench", "RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY=benchbench", "RCLONE_CONFIG_BACKUP_REGION=us-east-1")}
	}
	args := []string{b.tarn, "tarball", "-b", bucket, "-n", name, "-p", source, "--split-depth", "1", "--storage-class", "STANDARD"}
	if who == byTimes {
		args = append(args, "--trust-mtime")
	}
	return command{args: args, env: env}
}

func (b *bench) reportTarballs(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "Measured on %s: %s, %d rounds. %s\n\n", time.Now().Format(time.DateOnly), machine(), b.runs, strings.Join(b.versions, "; "))
	fmt.Fprintln(&out, "| set | | first | again | stored MB | peak MB |\n|---|---|---|---|---|---|")
	for _, s := range b.sets {
		what := fmt.Sprintf("%s: %d files, %d MB", s.Name, s.Files, s.Bytes/1e6)
		for _, who := range []string{byScript, byTarn, byTimes} {
			cell := func(a action) string {
				t := b.seconds(who, s.Name, a)
				if t == 0 {
					return ""
				}
				if who == byScript {
					return fmt.Sprintf("%.2f s", t)
				}
				return fmt.Sprintf("%.2f s (%.2f)", t, b.times(who, s.Name, a))
			}
			stored := ""
			if n := b.stored[key{who, s.Name, first}]; n > 0 {
				stored = fmt.Sprint(n / 1e6)
			}
			fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %d |\n", what, who, cell(first), cell(again), stored, b.memory(who, s.Name))
			what = ""
		}
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return err
	}
	return replace(b.out, "tarball", out.String())
}

// times returns the median over the rounds of the time of one of tarn's runs by
// that of the script.
func (b *bench) times(who, set string, a action) float64 {
	ours, theirs := b.results[key{who, set, a}], b.results[key{byScript, set, a}]
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		all = append(all, ours[i].Seconds/theirs[i].Seconds)
	}
	return median(all)
}
