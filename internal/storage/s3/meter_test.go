package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// billed counts what a lab would bill, as its log has it.
func billed(t *testing.T, l *s3lab.Lab) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for e, err := range l.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != "request" || e.Status >= 500 || e.Status == 403 && e.Code != "InvalidObjectState" {
			continue
		}
		counts[fmt.Sprint(e.Op, " ", e.Class, " ", e.Tier)]++
	}
	return counts
}

// counted is the same as the storage has counted it. A cold part's class is the
// upload's here and, as it bills so, STANDARD in the lab's log.
func counted(m storage.Metered) map[string]int64 {
	counts := map[string]int64{}
	for r, n := range m.Requests {
		if r.Operation == "UploadPart" && r.Class.Cold() || r.Operation == "AbortMultipartUpload" {
			r.Class = tarn.Standard
		}
		counts[fmt.Sprint(r.Operation, " ", r.Class, " ", r.Tier)] += n
	}
	return counts
}

// A life of objects in each class is counted as the server bills it: attempts
// that it answers with an error of ours, refusals of cold objects, ranges, parts.
func TestMeterCountsWhatTheLabBills(t *testing.T) {
	l, at := coldLab(t, s3lab.LabConfig{})
	cfg := config(at)
	cfg.PartSize = 5 << 20
	s := open(t, cfg)
	small, large := storagetest.Content(1, 100<<10), storagetest.Content(2, 12<<20)
	var stored, down int64
	read := func(key string, offset, length int64) {
		t.Helper()
		r, err := s.Get(t.Context(), key, offset, length)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		down += n
	}
	for _, class := range tarn.Classes {
		for i, data := range [][]byte{small, large} {
			key := fmt.Sprint(class, "/", i)
			opts := storage.PutOptions{Class: class}
			if _, err := s.Put(t.Context(), key, bytes.NewReader(data), opts); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Put(t.Context(), key, bytes.NewReader(data), opts); err == nil {
				t.Fatal("a key was written twice")
			}
			if _, err := s.Stat(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			stored += int64(len(data))
			if !class.Cold() {
				read(key, 100, 1000)
				read(key, 0, -1)
				continue
			}
			if _, err := s.Get(t.Context(), key, 0, 10); !errors.Is(err, tarn.ErrCold) {
				t.Fatalf("a frozen object: %v", err)
			}
			for _, want := range []error{nil, tarn.ErrThawing} {
				if err := s.Thaw(t.Context(), key, storage.ThawOptions{Days: 1, Tier: storage.Bulk, Class: class}); !errors.Is(err, want) {
					t.Fatalf("a thaw: %v, want %v", err, want)
				}
			}
		}
	}
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Stat(t.Context(), "absent"); err == nil {
		t.Fatal("what is not there was looked at")
	}
	m := s.Metered()
	if want, got := billed(t, l), counted(m); !maps.Equal(want, got) {
		t.Errorf("the lab bills %v\nthe meter has %v", want, got)
	}
	sum := int64(0)
	for _, n := range m.Stored {
		sum += n
	}
	if sum != stored {
		t.Errorf("stored %d bytes, counted %d", stored, sum)
	}
	retrieved := int64(0)
	for _, n := range m.Retrieved {
		retrieved += n
	}
	if retrieved != down || m.Down <= down {
		t.Errorf("read %d bytes, counted %d of %d in all", down, retrieved, m.Down)
	}
	if m.Retrieved[tarn.Glacier] != 0 {
		t.Error("a refusal counts as reading")
	}
}

// Attempts that a server fails are repeated, and not billed.
func TestMeterCountsAttempts(t *testing.T) {
	l, err := s3lab.Open(s3lab.LabConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	fail := 0
	at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail > 0 {
			fail--
			_, _ = io.Copy(io.Discard, r.Body)
			http.Error(w, "<Error><Code>SlowDown</Code></Error>", http.StatusServiceUnavailable)
			return
		}
		l.ServeHTTP(w, r)
	}))
	var s *s3.Storage = open(t, config(at))
	fail = 3
	if _, err := s.Put(t.Context(), "key", bytes.NewReader([]byte("content")), storage.PutOptions{Class: tarn.GlacierIR}); err != nil {
		t.Fatal(err)
	}
	before := s.Metered()
	if before.Free != 3 || before.Count() != 1 || before.Requests[storage.Request{Operation: "PutObject", Class: tarn.GlacierIR}] != 1 {
		t.Errorf("three failed attempts and one that did not: %+v", before)
	}
	if _, err := s.Stat(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	rest := s.Metered().Since(before)
	want := storage.Request{Operation: "HeadObject", Class: tarn.GlacierIR}
	if rest.Count() != 1 || rest.Requests[want] != 1 || rest.Free != 0 || len(rest.Stored) != 0 {
		t.Errorf("since then: %+v", rest)
	}
}

// A thaw is counted by its tier.
func TestMeterCountsThaws(t *testing.T) {
	_, at := coldLab(t, s3lab.LabConfig{})
	s := open(t, config(at))
	if _, err := s.Put(t.Context(), "key", bytes.NewReader([]byte("content")), storage.PutOptions{Class: tarn.Glacier}); err != nil {
		t.Fatal(err)
	}
	if err := s.Thaw(t.Context(), "key", storage.ThawOptions{Days: 1, Tier: storage.Bulk}); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for r, each := range s.Metered().Requests {
		if r.Operation == "RestoreObject" && r.Tier == storage.Bulk {
			n += each
		}
	}
	if n != 1 {
		t.Errorf("%+v", s.Metered().Requests)
	}
}

// So is that of a version, and both by the class that the thaw names.
func TestMeterCountsThawsByClass(t *testing.T) {
	s := open(t, config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))))
	opts := storage.ThawOptions{Days: 1, Tier: storage.Bulk, Class: tarn.DeepArchive}
	if err := errors.Join(s.Thaw(t.Context(), "key", opts), s.ThawVersion(t.Context(), "key", "version", opts)); err != nil {
		t.Fatal(err)
	}
	want := storage.Request{Operation: "RestoreObject", Class: tarn.DeepArchive, Tier: storage.Bulk}
	if got := s.Metered().Requests; len(got) != 1 || got[want] != 2 {
		t.Errorf("%+v", got)
	}
}
