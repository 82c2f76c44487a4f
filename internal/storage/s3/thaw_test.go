package s3_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Of a thaw that had no clear answer, the error says so, and each attempt is counted
// that S3 may bill.
func TestThawUnanswered(t *testing.T) {
	answer := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if code == "" {
				return
			}
			_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>no</Message></Error>"))
		}
	}
	lost := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		first, then http.HandlerFunc
		want        error
		unanswered  bool
		counted     int64
	}{
		"lost, and again":          {lost, lost, nil, true, 3},
		"lost, then accepted":      {lost, answer(http.StatusAccepted, ""), nil, false, 2},
		"lost, then running":       {lost, answer(http.StatusConflict, "RestoreAlreadyInProgress"), tarn.ErrThawing, true, 2},
		"lost, then refused":       {lost, answer(http.StatusForbidden, "AccessDenied"), tarn.ErrDenied, true, 1},
		"broken, then running":     {answer(http.StatusInternalServerError, "InternalError"), answer(http.StatusConflict, "RestoreAlreadyInProgress"), tarn.ErrThawing, true, 1},
		"busy, then running":       {answer(http.StatusServiceUnavailable, "SlowDown"), answer(http.StatusConflict, "RestoreAlreadyInProgress"), tarn.ErrThawing, false, 1},
		"running":                  {answer(http.StatusConflict, "RestoreAlreadyInProgress"), lost, tarn.ErrThawing, false, 1},
		"no tier, which is a 503":  {answer(http.StatusServiceUnavailable, "GlacierExpeditedRetrievalNotAvailable"), lost, tarn.ErrTierRefused, false, 0},
		"no such operation, a 501": {answer(http.StatusNotImplemented, "NotImplemented"), lost, nil, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			cfg := config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodHead:
					w.Header().Set("x-amz-storage-class", "GLACIER")
					w.Header().Set("Content-Length", "7")
				case n.Add(1) == 1:
					test.first(w, r)
				default:
					test.then(w, r)
				}
			})))
			cfg.MaxAttempts = 3
			s := open(t, cfg)
			if _, err := s.Stat(t.Context(), "key"); err != nil { // else it gives a server up that has never answered
				t.Fatal(err)
			}
			err := s.Thaw(t.Context(), "key", storage.ThawOptions{Days: 1, Tier: storage.Expedited, Class: tarn.Glacier})
			if errors.Is(err, tarn.ErrUnanswered) != test.unanswered || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%v", err)
			}
			if got := s.Metered().Requests[storage.Request{Operation: "RestoreObject", Class: tarn.Glacier, Tier: storage.Expedited}]; got != test.counted {
				t.Errorf("%d requests are counted, want %d", got, test.counted)
			}
		})
	}
}

// A server that can't be reached has accepted nothing.
func TestThawUnsent(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	cfg := config(server.URL)
	server.Close()
	s := open(t, cfg)
	err := s.Thaw(t.Context(), "key", storage.ThawOptions{Days: 1, Tier: storage.Bulk, Class: tarn.Glacier})
	if m := s.Metered(); err == nil || errors.Is(err, tarn.ErrUnanswered) || m.Count() != 0 || m.Free == 0 {
		t.Errorf("%v, counted: %+v", err, m)
	}
}

// When its context ends, a thaw that was sent is answered all the same, and none is
// sent any more.
func TestThawOutlastsItsContext(t *testing.T) {
	l, _ := coldLab(t, s3lab.LabConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	s := open(t, config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			cancel()
			time.Sleep(100 * time.Millisecond) // before the answer is flushed
		}
	}))))
	if _, err := s.Put(t.Context(), "key", strings.NewReader("content"), storage.PutOptions{Class: tarn.Glacier}); err != nil {
		t.Fatal(err)
	}
	opts := storage.ThawOptions{Days: 1, Tier: storage.Bulk, Class: tarn.Glacier}
	if err := s.Thaw(ctx, "key", opts); err != nil {
		t.Errorf("what was sent: %v", err)
	}
	before := s.Metered()
	if err := s.Thaw(ctx, "key", opts); !errors.Is(err, context.Canceled) || errors.Is(err, tarn.ErrUnanswered) || s.Metered().Since(before).Count() != 0 {
		t.Errorf("afterwards: %v", err)
	}
}
