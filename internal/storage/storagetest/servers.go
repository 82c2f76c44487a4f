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
	addr := start(t, func(addr string) *exec.Cmd {
		args := append([]string{"--port", addr, "--access", e.AccessKey, "--secret", e.SecretKey, "--region", e.Region, "posix"}, posix...)
		return exec.Command(program, append(args, dir)...)
	})
	e.URL = "http://" + addr
	return e
}

// Moto starts a moto_server and stops it when the test ends. Where it is not
// installed the test skips.
func Moto(t testing.TB) Endpoint {
	t.Helper()
	program := Program(t, "moto_server")
	e := Endpoint{Bucket: "tarn", Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret"}
	addr := start(t, func(addr string) *exec.Cmd {
		host, port, _ := net.SplitHostPort(addr)
		return exec.Command(program, "-H", host, "-p", port)
	})
	e.URL = "http://" + addr
	// It lets in requests without a signature.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.URL+"/"+e.Bucket, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("making a bucket: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("making a bucket: %s", resp.Status)
	}
	return e
}

// start runs a server on a free port of the loopback interface until the test
// ends, and returns its address once it answers.
func start(t testing.TB, command func(addr string) *exec.Cmd) string {
	t.Helper()
	var why error
	for range 3 { // another process may take the port first
		addr, err := freeAddr()
		if err != nil {
			t.Fatal(err)
		}
		if why = serve(t, command(addr), addr); why == nil {
			return addr
		}
	}
	t.Fatal(why)
	return ""
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func serve(t testing.TB, cmd *exec.Cmd, addr string) error {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by a signal as a rule
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended before
		<-ended
	})
	const patience = 60 * time.Second // of a machine that is busy with other tests
	for began := time.Now(); time.Since(began) < patience; {
		select {
		case <-ended:
			return fmt.Errorf("%s ended at once: %s", cmd, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			return nil
		}
	}
	return fmt.Errorf("%s does not answer on %s", cmd, addr)
}
