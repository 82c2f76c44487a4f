package storagetest

import (
	"bytes"
	"fmt"
	"go/build"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Endpoint is an S3 server with an empty bucket, and how to be let in.
type Endpoint struct {
	URL, Bucket, Region  string
	AccessKey, SecretKey string
}

// Setenv puts the endpoint and its credentials into the environment that the
// AWS SDK and tools read, until the test ends.
func (e Endpoint) Setenv(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": e.URL, "AWS_REGION": e.Region,
		"AWS_ACCESS_KEY_ID": e.AccessKey, "AWS_SECRET_ACCESS_KEY": e.SecretKey,
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		// The machine's own configuration is none of a test's business.
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

// RequirePrograms is the environment variable that, set to 1, turns the
// absence of a program that a test needs from a skip into a failure.
const RequirePrograms = "TARN_REQUIRE_PROGRAMS"

// All reports whether a test that takes long is to run all of its cases: in a
// build, which sets RequirePrograms and has the time. Elsewhere it takes a
// sample, and its log says so.
func All(t testing.TB) bool {
	t.Helper()
	if os.Getenv(RequirePrograms) == "1" {
		return true
	}
	t.Logf("a sample of the cases; %s=1 runs them all", RequirePrograms)
	return false
}

// Program returns the path of a program on PATH or among what `go install`
// has installed. Where it is absent the test skips, or fails if the
// environment requires it.
func Program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	dirs := []string{os.Getenv("GOBIN")}
	for _, dir := range filepath.SplitList(build.Default.GOPATH) {
		dirs = append(dirs, filepath.Join(dir, "bin"))
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv(RequirePrograms) == "1" {
		t.Fatalf("%s is not installed, and %s=1 requires it", name, RequirePrograms)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// Versitygw starts a versitygw over a temporary folder and stops it when the
// test ends. Where it is not installed the test skips.
func Versitygw(t testing.TB) Endpoint {
	t.Helper()
	return versitygw(t)
}

// VersionedVersitygw is Versitygw with the ability to keep versions, which a
// bucket has to be told.
func VersionedVersitygw(t testing.TB) Endpoint {
	t.Helper()
	return versitygw(t, "--versioning-dir", t.TempDir())
}

func versitygw(t testing.TB, posix ...string) Endpoint {
	t.Helper()
	program := Program(t, "versitygw")
	dir := t.TempDir()
	e := Endpoint{Bucket: "tarn", Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret"}
	// A bucket of its posix backend is a folder.
	if err := os.Mkdir(filepath.Join(dir, e.Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	addr, stop := start(t, func(addr string) *exec.Cmd {
		args := append([]string{"--port", addr, "--access", e.AccessKey, "--secret", e.SecretKey, "--region", e.Region, "posix"}, posix...)
		return exec.Command(program, append(args, dir)...)
	})
	t.Cleanup(stop)
	e.URL = "http://" + addr
	return e
}

// Moto starts a moto_server and stops it when the test ends, or passes it, emptied,
// to the next test: its first stack takes it seconds to import what it needs. Where
// it is not installed the test skips.
func Moto(t testing.TB) Endpoint {
	t.Helper()
	program := Program(t, "moto_server")
	e := Endpoint{Bucket: "tarn", Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret"}
	addr, ok := motos.take()
	if !ok {
		var stop func()
		addr, stop = start(t, func(addr string) *exec.Cmd {
			host, port, _ := net.SplitHostPort(addr)
			return exec.Command(program, "-H", host, "-p", port)
		})
		if !diesWithUs {
			t.Cleanup(stop)
		}
	}
	e.URL = "http://" + addr
	if diesWithUs {
		t.Cleanup(func() {
			ask(t, http.MethodPost, e.URL+"/moto-api/reset")
			if !t.Failed() {
				motos.give(addr)
			}
		})
	}
	ask(t, http.MethodPut, e.URL+"/"+e.Bucket) // it lets in requests without a signature
	return e
}

// ask sends a request that has to be done.
func ask(t testing.TB, method, url string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
}

// motos are the servers that no test uses just now.
var motos idle

type idle struct {
	mu    sync.Mutex
	addrs []string
}

func (i *idle) take() (addr string, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.addrs) == 0 {
		return "", false
	}
	addr = i.addrs[len(i.addrs)-1]
	i.addrs = i.addrs[:len(i.addrs)-1]
	return addr, true
}

func (i *idle) give(addr string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.addrs = append(i.addrs, addr)
}

// start runs a server on a free port of the loopback interface, and returns its
// address once it answers, and what ends it.
func start(t testing.TB, command func(addr string) *exec.Cmd) (addr string, stop func()) {
	t.Helper()
	var why error
	for range 3 { // another process may take the port first
		var err error
		if addr, err = freeAddr(); err != nil {
			t.Fatal(err)
		}
		if stop, why = serve(t, command(addr), addr); why == nil {
			return addr, stop
		}
	}
	t.Fatal(why)
	return "", nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func serve(t testing.TB, cmd *exec.Cmd, addr string) (stop func(), err error) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := startTied(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by a signal as a rule
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Kill() // it may have ended before
		<-ended
	}
	const patience = 60 * time.Second // of a machine that is busy with other tests
	for began := time.Now(); time.Since(began) < patience; {
		select {
		case <-ended:
			return nil, fmt.Errorf("%s ended at once: %s", cmd, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			return stop, nil
		}
	}
	stop()
	return nil, fmt.Errorf("%s does not answer on %s", cmd, addr)
}
