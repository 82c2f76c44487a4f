//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/local"
	"github.com/tarn-backup/tarn/internal/storage/s3"
)

// kills is how many runs a test kills; TARN_KILLS sets it.
func kills(t *testing.T, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("TARN_KILLS"))
	if err != nil {
		return usual
	}
	return n
}

// random returns a source of chance whose seed is printed, and is taken from
// TARN_SEED where that is set.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("TARN_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("TARN_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// filesPerSplit is some 2 MB of files, or 8 MB where many kills are asked for.
func filesPerSplit() int {
	if os.Getenv("TARN_KILLS") != "" {
		return 160
	}
	return 40
}

const splits = 6

// source makes a folder of a few splits, with small files and with large ones
// that are streamed.
func source(t *testing.T, rng *rand.Rand) string {
	t.Helper()
	dir := filepath.Join(e2e.Scratch(t), "photos")
	for split := range splits {
		for i := range filesPerSplit() {
			e2e.Write(t, filepath.Join(dir, fmt.Sprintf("s%d/d%d/f%d", split, i%2, i)), e2e.Content(rng.Uint64(), rng.IntN(100_000)))
		}
	}
	e2e.Write(t, filepath.Join(dir, "s1/large"), e2e.Content(rng.Uint64(), 9<<20))
	if os.Getenv("TARN_KILLS") != "" {
		e2e.Write(t, filepath.Join(dir, "s4/larger"), e2e.Content(rng.Uint64(), 12<<20))
	}
	return dir
}

// change changes about a third of the source: contents, names, and what is there.
func change(t *testing.T, rng *rand.Rand, dir string) {
	t.Helper()
	for split := range splits {
		for i := range filesPerSplit() {
			path := filepath.Join(dir, fmt.Sprintf("s%d/d%d/f%d", split, i%2, i))
			var err error
			switch rng.IntN(9) {
			case 0, 1:
				e2e.Write(t, path, e2e.Content(rng.Uint64(), rng.IntN(100_000)))
			case 2:
				if err = os.Rename(path, path+"-moved"); os.IsNotExist(err) {
					err = nil
				}
			case 3:
				if err = os.Remove(path); os.IsNotExist(err) {
					err = nil
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	e2e.Write(t, filepath.Join(dir, "s1/large"), e2e.Content(rng.Uint64(), 9<<20))
}

// home is a place for a repository.
type home struct {
	location string // as the program is told
	env      []string
	open     func() (storage.Storage, error) // the library's view of it
}

func localHome(t *testing.T) home {
	path := filepath.Join(e2e.Scratch(t), "repository")
	return home{location: path, open: func() (storage.Storage, error) { return local.Create(path) }}
}

// s3Home is a bucket on a server in this process that takes its time, so that
// kills fall into requests.
func s3Home(t *testing.T) home {
	server := s3lab.New(s3lab.Config{})
	server.CreateBucket("tarn")
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(rand.IntN(6)) * time.Millisecond)
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	return home{location: "s3://tarn/p", env: s3Env(listener.URL), open: func() (storage.Storage, error) {
		return s3.Open(context.Background(), s3.Config{Bucket: "tarn", Prefix: "p", Endpoint: listener.URL, Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret"})
	}}
}

// killed starts the program and kills it after a while, and reports whether
// the kill came before its end.
func (p *person) killed(after time.Duration, args ...string) bool {
	p.t.Helper()
	cmd := p.command(args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
	err := cmd.Wait()
	timer.Stop()
	if cmd.ProcessState.Exited() && err != nil {
		p.t.Fatalf("tarn %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return err != nil
}

// TestKilledBackups kills backups at random moments. After each the repository
// is whole, and when one has been let through at last, no content was stored
// twice, and what comes back is the source.
func TestKilledBackups(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) home{"local": localHome, "s3": s3Home} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng, left := random(t), kills(t, 26)/2
			for round := 0; left > 0 && !t.Failed(); round++ {
				// A test of its own, so that what it takes is given back.
				t.Run(strconv.Itoa(round), func(t *testing.T) {
					k := &killing{t: t, rng: rng, home: make(t), encrypt: name == "s3", left: &left}
					k.round()
				})
			}
		})
	}
}

// killing is a round of killed runs over one repository.
type killing struct {
	t       *testing.T
	rng     *rand.Rand
	home    home
	encrypt bool
	left    *int          // kills still to come
	length  time.Duration // of a run that is let through
}

func (k *killing) storage() storage.Storage {
	k.t.Helper()
	s, err := k.home.open()
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

// round makes a repository, and backs two states of a source up into it, with
// kills.
func (k *killing) round() {
	t := k.t
	p := newPerson(t, k.home.env...)
	dir := source(t, k.rng)
	args := []string{"backup", "-q", "--init", "-r", k.home.location, "--archive-size", "1MiB", dir}
	if !k.encrypt {
		p.must("init", "-r", k.home.location, "--no-encryption")
	}
	began := time.Now()
	newPerson(t).must("backup", "-q", "--init", "-r", filepath.Join(e2e.Scratch(t), "other"), "--archive-size", "1MiB", dir)
	k.length = time.Since(began)
	inFlight := 0
	for range 2 {
		inFlight += k.kill(p, args)
		p.must(args...)
		b := p.bench(k.encrypt)
		found := b.Check(t.Context(), k.storage(), 10)
		for h, archives := range b.Stored(t.Context(), k.storage()) {
			if len(archives) != 1 {
				t.Errorf("content %s is in %d archives", h, len(archives))
			}
		}
		if orphans := found.Archives - found.Indexes; orphans > inFlight {
			t.Errorf("%d archives without an index after kills that had %d in flight", orphans, inFlight)
		}
		target := filepath.Join(e2e.Scratch(t), "back")
		p.must("restore", "-q", "-r", k.home.location, "--target", target, "latest")
		b.Same(dir, filepath.Join(target, filepath.Base(dir)))
		change(t, k.rng, dir)
	}
}

// atOnce is how many archives a run has in flight at most: one that is written
// and one whose index is on its way for each of the four splits at once.
const atOnce = 8

// kill kills a few runs and looks at the repository after each. It returns how
// many archives they can have had in flight.
func (k *killing) kill(p *person, args []string) (inFlight int) {
	t := k.t
	for range 1 + k.rng.IntN(6) {
		after := time.Duration(k.rng.Int64N(int64(k.length) * 5 / 4))
		if *k.left == 0 || !p.killed(after, args...) {
			return inFlight // it was faster
		}
		*k.left--
		inFlight += atOnce
		if _, err := repo.ReadConfig(t.Context(), k.storage()); errors.Is(err, fs.ErrNotExist) {
			continue // there is no repository yet
		}
		p.bench(k.encrypt).Check(t.Context(), k.storage(), 0)
		if t.Failed() {
			t.Fatalf("after a kill at %v", after)
		}
	}
	return inFlight
}

// TestKilledRestores kills restores at random moments. The same command goes
// on, and leaves exactly the source.
func TestKilledRestores(t *testing.T) {
	t.Parallel()
	rng := random(t)
	p := newPerson(t)
	dir := source(t, rng)
	repository := filepath.Join(e2e.Scratch(t), "repository")
	p.must("backup", "-q", "--init", "-r", repository, "--archive-size", "1MiB", dir)
	restore := func(target string) []string {
		return []string{"restore", "-q", "-r", repository, "--target", target, "latest"}
	}
	began := time.Now()
	p.must(restore(filepath.Join(e2e.Scratch(t), "whole"))...)
	length := time.Since(began)
	temporary, left := 0, kills(t, 16)
	for round := 0; left > 0 && !t.Failed(); round++ {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			target := filepath.Join(e2e.Scratch(t), "target")
			for range 1 + rng.IntN(4) {
				if left == 0 || !p.killed(time.Duration(rng.Int64N(int64(length))), restore(target)...) {
					break
				}
				left--
				temporary += len(temporaries(t, target))
			}
			p.must(restore(target)...)
			e2e.New(t, true).Same(dir, filepath.Join(target, filepath.Base(dir)))
			if left := temporaries(t, target); len(left) > 0 {
				t.Errorf("temporary files are left: %q", left)
			}
		})
	}
	t.Logf("the kills left %d temporary files, which the next runs removed", temporary)
}

func temporaries(t *testing.T, dir string) (list []string) {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return nil // killed before it made the folder
	}
	for path := range e2e.ReadTree(t, dir) {
		if strings.HasPrefix(filepath.Base(path), ".tarn-") {
			list = append(list, path)
		}
	}
	return list
}
