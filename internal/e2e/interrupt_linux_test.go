package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
)

// patience is how long an interrupted run may take to end. The promise is two
// seconds; a machine that is busy with other tests gets a little more.
const patience = 4 * time.Second

// interrupt starts a run, waits until it is in the state that ready waits for,
// interrupts it, and wants it to end soon with exit code 130.
func (p *person) interrupt(ready func(pid int) bool, args ...string) {
	p.t.Helper()
	p.signal(os.Interrupt, ready, args...)
}

// signal is interrupt with another signal.
func (p *person) signal(sig os.Signal, ready func(pid int) bool, args ...string) {
	p.t.Helper()
	cmd := p.command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !ready(cmd.Process.Pid) {
		select {
		case err := <-ended:
			p.t.Fatalf("tarn %s ended too early: %v\n%s", strings.Join(args, " "), err, out.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	began := time.Now()
	select {
	case err := <-ended:
		p.t.Logf("ended after %v", time.Since(began).Round(time.Millisecond))
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
			p.t.Errorf("it ended with %v, want exit code 130\n%s", err, out.String())
		}
	case <-time.After(patience):
		_ = cmd.Process.Signal(syscall.SIGQUIT) // shows where it hangs
		<-ended
		p.t.Fatalf("it did not end within %v of an interrupt\n%.20000s", patience, out.String())
	}
	if !strings.Contains(out.String(), "interrupted") || strings.Contains(out.String(), "context canceled") {
		p.t.Errorf("it does not say that it was interrupted, and no more: %s", out.String())
	}
}

// hasRead waits until a process has read so many bytes.
func hasRead(n int64) func(pid int) bool {
	return func(pid int) bool {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err != nil {
			return false
		}
		var read int64
		_, err = fmt.Sscanf(string(data), "rchar: %d", &read)
		return err == nil && read > n
	}
}

// huge makes a sparse file that takes many seconds to read.
func huge(t *testing.T, path string) {
	t.Helper()
	e2e.Write(t, path, nil)
	if err := os.Truncate(path, 64<<30); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptWhileReading(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "src")
	huge(t, filepath.Join(dir, "huge"))
	tests := map[string][]string{
		"storing": {"backup", "-q"},
		"hashing": {"backup", "-q", "--dry-run"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			repository := filepath.Join(t.TempDir(), "repository")
			p := newPerson(t)
			if out, err := p.command("init", "-q", "-r", repository).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			p.interrupt(hasRead(200<<20), append(args, "-r", repository, dir)...)
		})
	}
}

// TestSignals: a closed terminal and a system that shuts down end a run as
// Ctrl-C does, and one that was started with nohup goes on.
func TestSignals(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "src")
	huge(t, filepath.Join(dir, "huge"))
	p := newPerson(t)
	repository := filepath.Join(t.TempDir(), "repository")
	p.must("init", "-q", "-r", repository)
	run := []string{"backup", "-q", "--dry-run", "-r", repository, dir}
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if signal.Ignored(sig) { // by whatever started the test, such as nohup
			continue
		}
		p.signal(sig, hasRead(50<<20), run...)
	}
	cmd := p.command(run...)
	nohup := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `trap "" HUP; exec "$@"`, "sh", cmd.Path}, run...)...)
	nohup.Env, nohup.Dir = cmd.Env, cmd.Dir
	if err := nohup.Start(); err != nil {
		t.Fatal(err)
	}
	for ready := hasRead(50 << 20); !ready(nohup.Process.Pid); {
		time.Sleep(5 * time.Millisecond)
	}
	if err := nohup.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for ready := hasRead(400 << 20); !ready(nohup.Process.Pid); {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", nohup.Process.Pid)); err != nil {
			t.Fatal("it ended, though it ignores SIGHUP")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := errors.Join(nohup.Process.Kill(), nohup.Wait()); err == nil {
		t.Error("it ended by itself")
	}
}

// stalls is an S3 server that never answers some requests.
type stalls struct {
	next  http.Handler
	mu    sync.Mutex
	which func(*http.Request) bool
	hit   chan struct{}
	end   chan struct{} // closed with the test
}

func (s *stalls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	stall := s.which != nil && s.which(r)
	s.mu.Unlock()
	if !stall {
		s.next.ServeHTTP(w, r)
		return
	}
	select {
	case s.hit <- struct{}{}:
	default:
	}
	select {
	case <-r.Context().Done():
	case <-s.end: // a client that left is not seen before its body is read
	}
}

func (s *stalls) on(which func(*http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.which = which
	s.hit = make(chan struct{}, 1)
}

func (s *stalls) ready(int) bool {
	select {
	case <-s.hit:
		return true
	default:
		return false
	}
}

func TestInterruptWhileARequestStalls(t *testing.T) {
	t.Parallel()
	server := s3lab.New(s3lab.Config{})
	server.CreateBucket("tarn")
	s := &stalls{next: server, end: make(chan struct{})}
	listener := httptest.NewServer(s)
	t.Cleanup(listener.Close)
	t.Cleanup(func() { close(s.end) })
	p := newPerson(t, s3Env(listener.URL)...)
	dir := filepath.Join(t.TempDir(), "src")
	e2e.Write(t, filepath.Join(dir, "file"), e2e.Content(1, 30<<20))
	e2e.Write(t, filepath.Join(dir, "d/file"), e2e.Content(2, 1<<20))
	backup := []string{"backup", "-q", "--init", "-r", "s3://tarn/p", dir}
	is := func(method, prefix string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return r.Method == method && strings.HasPrefix(r.URL.Path, "/tarn/p/"+prefix)
		}
	}
	for _, step := range []string{"archives/", "indexes/", "trees/", "snapshots/"} {
		s.on(is(http.MethodPut, step))
		p.interrupt(s.ready, backup...)
	}
	s.on(nil)
	p.must(backup...)
	s.on(is(http.MethodGet, "archives/"))
	p.interrupt(s.ready, "restore", "-q", "-r", "s3://tarn/p", "--target", filepath.Join(t.TempDir(), "t"), "latest")
	s.on(func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("list-type") })
	p.interrupt(s.ready, "restore", "-q", "-r", "s3://tarn/p", "--target", filepath.Join(t.TempDir(), "t"), "latest")
	s.on(nil)
	p.must("restore", "-q", "-r", "s3://tarn/p", "--target", filepath.Join(t.TempDir(), "t"), "latest")
}
