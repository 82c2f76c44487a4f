package s3_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
)

// TestRefusedEarly puts to a server that breaks the connection of each write
// after a few bytes, as one does that refuses a taken key before it has read
// the body: that must be fs.ErrExist at once, and no lost connection.
func TestRefusedEarly(t *testing.T) {
	t.Parallel()
	lab := s3lab.New(s3lab.Config{})
	lab.CreateBucket(bucket)
	var puts atomic.Int32
	breaks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || puts.Add(1) == 1 {
			lab.ServeHTTP(w, r)
			return
		}
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	s := open(t, config(serve(t, breaks)))
	data := bytes.Repeat([]byte("tarn"), 4<<20)
	for i := range 3 {
		_, err := s.Put(t.Context(), "taken", bytes.NewReader(data), storage.PutOptions{MaxSize: int64(len(data))})
		if i > 0 && !errors.Is(err, fs.ErrExist) || i == 0 && err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	if n := puts.Load(); n != 3 {
		t.Errorf("%d requests, want 3: a refusal is asked for once", n)
	}
}
