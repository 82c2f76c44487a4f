package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

const bucket = "tarn"

// config returns a configuration that does not wait.
func config(url string) s3.Config {
	return s3.Config{
		Bucket: bucket, Prefix: "my/repository", Endpoint: url, Region: "us-east-1",
		AccessKey: "lab", SecretKey: "labsecret",
		MinDelay: time.Microsecond, MaxDelay: time.Millisecond, IdleTimeout: 20 * time.Second,
	}
}

func open(t testing.TB, cfg s3.Config) *s3.Storage {
	t.Helper()
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lab starts a lab with faults before it.
func lab(t *testing.T, cfg s3lab.Config) (*s3lab.Server, *s3lab.Faults, string) {
	t.Helper()
	server := s3lab.New(cfg)
	server.CreateBucket(bucket)
	faults := s3lab.NewFaults(server)
	return server, faults, serve(t, faults)
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return ts.URL
}

func TestContractOnLab(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		server, _, url := lab(t, s3lab.Config{})
		t.Cleanup(func() {
			if n := server.Uploads(); n != 0 {
				t.Errorf("%d unfinished uploads are left", n)
			}
		})
		return open(t, config(url))
	})
}

func TestOverwrite(t *testing.T) {
	t.Parallel()
	t.Run("lab", func(t *testing.T) {
		server, _, url := lab(t, s3lab.Config{})
		storagetest.RunOverwrite(t, func(t *testing.T) storage.Storage { return open(t, config(url)) })
		if n := server.Uploads(); n != 0 {
			t.Errorf("%d unfinished uploads are left", n)
		}
	})
	for name, start := range map[string]func(testing.TB) storagetest.Endpoint{"versitygw": storagetest.Versitygw, "moto": storagetest.Moto} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			cfg := config(e.URL)
			cfg.Bucket, cfg.Region, cfg.AccessKey, cfg.SecretKey = e.Bucket, e.Region, e.AccessKey, e.SecretKey
			storagetest.RunOverwrite(t, func(t *testing.T) storage.Storage { return open(t, cfg) })
		})
	}
}

func TestContractWithoutPrefix(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		_, _, url := lab(t, s3lab.Config{MaxKeys: 7})
		cfg := config(url)
		cfg.Prefix = ""
		return open(t, cfg)
	})
}

// real runs the contract on a server that others wrote, each test under a
// prefix of its own.
func real(t *testing.T, e storagetest.Endpoint) {
	var n atomic.Int64
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		cfg := config(e.URL)
		cfg.Bucket, cfg.Region, cfg.AccessKey, cfg.SecretKey = e.Bucket, e.Region, e.AccessKey, e.SecretKey
		cfg.Prefix = fmt.Sprintf("contract/%d", n.Add(1))
		return open(t, cfg)
	})
}

func TestContractOnVersitygw(t *testing.T) {
	t.Parallel()
	real(t, storagetest.Versitygw(t))
}

func TestContractOnMoto(t *testing.T) {
	t.Parallel()
	if !storagetest.All(t) {
		t.Skip("it is slow, and versitygw is another server")
	}
	real(t, storagetest.Moto(t))
}

// The proxy before a real server leaves signatures as they are, which that
// server checks, and sees every request.
func TestContractThroughProxy(t *testing.T) {
	t.Parallel()
	e := storagetest.Versitygw(t)
	upstream, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	faults := s3lab.NewFaults(s3lab.Proxy(upstream))
	faults.RefuseDeletes(true)
	through := e
	through.URL = serve(t, faults)
	real(t, through)
	if faults.Count() < 1000 {
		t.Errorf("the proxy saw %d requests", faults.Count())
	}
	through.SecretKey = "wrong"
	cfg := config(through.URL)
	cfg.AccessKey, cfg.SecretKey = through.AccessKey, through.SecretKey
	if _, err := open(t, cfg).Get(t.Context(), "key", 0, -1); !errors.Is(err, tarn.ErrDenied) {
		t.Errorf("with a wrong secret: %v", err)
	}
}
