package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tarn-backup/tarn/internal/s3lab"
)

// server is a versitygw on loopback over a folder: a bucket is a folder in it.
type server struct {
	url  string // http://127.0.0.1:PORT
	root string
	stop func()
}

const versitygwMissing = "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// startServer starts a versitygw that keeps its buckets in root.
func startServer(ctx context.Context, root string) (server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return server{}, err
	}
	addr := l.Addr().String()
	l.Close()
	if err := os.MkdirAll(root, 0o777); err != nil {
		return server{}, err
	}
	cmd := exec.CommandContext(ctx, "versitygw", "--port", addr, "--quiet", "posix", root)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=bench", "ROOT_SECRET_KEY=benchbench")
	if err := cmd.Start(); err != nil {
		return server{}, fmt.Errorf("starting versitygw: %w", err)
	}
	s := server{url: "http://" + addr, root: root, stop: func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }}
	for range 200 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return s, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return server{}, fmt.Errorf("versitygw does not answer on %s", addr)
}

// bucketName names a bucket of its own for each home, and makes it.
func (s server) bucketName(home string) string {
	name := "bench-" + filepath.Base(home)
	_ = os.MkdirAll(filepath.Join(s.root, name), 0o777) // the first request says what is wrong
	return name
}

// bucket is bucketName with a prefix in it, as people have it.
func (s server) bucket(home string) string { return s.bucketName(home) + "/repo" }

func (s server) credentials() []string {
	return []string{"AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=benchbench", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"}
}

func (s server) rclone() []string {
	return []string{"RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENDPOINT=" + s.url, "RCLONE_S3_ACCESS_KEY_ID=bench", "RCLONE_S3_SECRET_ACCESS_KEY=benchbench",
		"RCLONE_S3_REGION=us-east-1", "RCLONE_S3_NO_CHECK_BUCKET=true", "RCLONE_CONFIG=/dev/null"}
}

// counted returns the same server seen through a proxy, and the proxy's count of
// requests. Runs through it count; they are not timed.
func (s server) counted() (server, func() int, error) {
	upstream, err := url.Parse(s.url)
	if err != nil {
		return server{}, nil, err
	}
	faults := s3lab.NewFaults(s3lab.Proxy(upstream))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return server{}, nil, err
	}
	srv := &http.Server{Handler: faults}
	go func() { _ = srv.Serve(l) }()
	return server{url: "http://" + l.Addr().String(), root: s.root, stop: func() { _ = srv.Close() }}, func() int {
		n := faults.Count()
		faults.Reset()
		return n
	}, nil
}
