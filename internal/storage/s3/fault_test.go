package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

const partSize = 100_000

// operation is something that a fault is put into each request of.
type operation struct {
	name string
	// before is what is in the storage, by key.
	before map[string][]byte
	run    func(ctx context.Context, s *s3.Storage) error
	// after is what is in the storage once run has succeeded; nil means before.
	// Once it has failed each object is there whole or not at all.
	after map[string][]byte
	// mayFail says that an error is a right end for a fault of that kind.
	mayFail func(kind s3lab.Kind) bool
	// unseen are faults that nobody at this layer can see.
	unseen []s3lab.Kind
}

func never(s3lab.Kind) bool { return false }

// toHead is the fault that no server has for a HEAD: there is no body that
// could have changed, and none in the answer that would say so.
func toHead(k s3lab.Kind) bool { return k == s3lab.BadDigestBefore }

func putting(name string, size int) operation {
	data := storagetest.Content(1, size)
	return operation{
		name: name,
		run: func(ctx context.Context, s *s3.Storage) error {
			_, err := s.Put(ctx, "a/key", bytes.NewReader(data), storage.PutOptions{})
			return err
		},
		after: map[string][]byte{"a/key": data},
		// The id of an upload that was flipped is the id of no upload.
		mayFail: func(k s3lab.Kind) bool { return k == s3lab.FlipDownload },
	}
}

func getting(name string, size int, offset, length int64, mayFail func(s3lab.Kind) bool, unseen ...s3lab.Kind) operation {
	data := storagetest.Content(2, size)
	return operation{
		name:   name,
		before: map[string][]byte{"a/key": data},
		run: func(ctx context.Context, s *s3.Storage) error {
			r, err := s.Get(ctx, "a/key", offset, length)
			if err != nil {
				return err
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			want := data[offset:]
			if length >= 0 {
				want = want[:length]
			}
			if err == nil && !bytes.Equal(got, want) {
				return errWrong
			}
			return err
		},
		mayFail: mayFail, unseen: unseen,
	}
}

// errWrong is what no fault may lead to.
var errWrong = errors.New("wrong bytes without an error")

func listing() operation {
	before := map[string][]byte{}
	var want []string
	for i := range 20 {
		key := fmt.Sprintf("l/%02d", i)
		before[key] = []byte(key)
		want = append(want, key)
	}
	return operation{
		name: "list of 3 pages", before: before,
		run: func(ctx context.Context, s *s3.Storage) error {
			var got []string
			for o, err := range s.List(ctx, "l/") {
				if err != nil {
					return err
				}
				got = append(got, o.Key)
			}
			if !slices.Equal(got, want) {
				return errWrong
			}
			return nil
		},
		mayFail: never, unseen: []s3lab.Kind{s3lab.FlipDownload},
	}
}

func operations() []operation {
	content := []byte("content")
	damage := func(k s3lab.Kind) bool { return k == s3lab.FlipDownload || k == s3lab.TruncateDownload }
	return []operation{
		putting("put of one part", 5000),
		putting("put of nothing", 0),
		putting("multipart put", 4*partSize+17),
		// A range has no checksum: a flipped bit in it is TLS's to find, and
		// that of the layers above.
		getting("get of a range", 50_000, 100, 20_000, never, s3lab.FlipDownload),
		getting("get to the end", 50_000, 100, -1, never, s3lab.FlipDownload),
		getting("get of a small whole", 50_000, 0, -1, never),
		// What has gone out already can't be taken back.
		getting("get of a large whole", 3<<20, 0, -1, damage),
		getting("get of nothing", 0, 0, -1, never),
		listing(),
		{
			name: "stat", before: map[string][]byte{"a/key": content},
			run: func(ctx context.Context, s *s3.Storage) error {
				o, err := s.Stat(ctx, "a/key")
				if err == nil && (o.Size != 7 || !o.Checksum.Known) {
					return errWrong
				}
				return err
			},
			mayFail: toHead,
		},
		{
			name: "thaw of warm", before: map[string][]byte{"a/key": content},
			run: func(ctx context.Context, s *s3.Storage) error {
				return s.Thaw(ctx, "a/key", storage.ThawOptions{Days: 1, Tier: storage.Bulk})
			},
			mayFail: func(k s3lab.Kind) bool { return k == s3lab.FlipDownload || toHead(k) },
		},
	}
}

func TestEveryRequestFailsOnce(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			requests := failOnce(t, op, 0, s3lab.NoFault)
			if requests == 0 {
				t.Fatal("it makes no request")
			}
			for _, kind := range s3lab.Kinds() {
				if slices.Contains(op.unseen, kind) {
					continue
				}
				for n := 1; n <= requests; n++ {
					failOnce(t, op, n, kind)
				}
			}
		})
	}
}

// failOnce runs an operation with a fault in request n and looks at what it
// leaves. It returns the number of requests.
func failOnce(t *testing.T, op operation, n int, kind s3lab.Kind) int {
	t.Helper()
	_, faults, url := lab(t, s3lab.Config{MinPart: 1, MaxKeys: 7})
	cfg := config(url)
	cfg.PartSize, cfg.IdleTimeout = partSize, 200*time.Millisecond
	s := open(t, cfg)
	for key, data := range op.before {
		if _, err := s.Put(t.Context(), key, bytes.NewReader(data), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	faults.Reset()
	faults.RefuseDeletes(true)
	faults.Nth(n, kind)
	err := op.run(t.Context(), s)
	requests, fired := faults.Count(), faults.Fired()
	faults.Reset()
	switch {
	case err != nil && (errors.Is(err, errWrong) || !op.mayFail(kind)):
		t.Errorf("%v in request %d: %v", kind, n, err)
	case err != nil && !strings.Contains(err.Error(), "a/key"):
		t.Errorf("%v in request %d: the error names no object: %v", kind, n, err)
	}
	if want := min(n, 1); fired != want {
		t.Errorf("%v in request %d: it fired %d times", kind, n, fired)
	}
	checkStore(t, open(t, cfg), op, err, fmt.Sprintf("%v in request %d", kind, n))
	return requests
}

// checkStore compares what is in the storage with what may be there.
func checkStore(t *testing.T, s *s3.Storage, op operation, err error, when string) {
	t.Helper()
	want := op.after
	if want == nil {
		want = op.before
	}
	found := 0
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		found++
		r, err := s.Get(t.Context(), o.Key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, want[o.Key]) {
			t.Errorf("%s: %s holds %d bytes that are not its own, %v", when, o.Key, len(got), err)
		}
	}
	if err == nil && found != len(want) {
		t.Errorf("%s: %d objects, want %d", when, found, len(want))
	}
}

// A storage that never recovers ends each operation with an error that says
// what is wrong.
func TestEveryRequestFailsForever(t *testing.T) {
	// The answer to a HEAD has a status and no code.
	texts := map[s3lab.Kind]*regexp.Regexp{
		s3lab.ErrorBefore:    regexp.MustCompile("InternalError|InternalServerError"),
		s3lab.SlowDownBefore: regexp.MustCompile("SlowDown|ServiceUnavailable"),
		s3lab.CutBefore:      regexp.MustCompile("EOF"),
	}
	for kind, text := range texts {
		_, faults, url := lab(t, s3lab.Config{MinPart: 1})
		cfg := config(url)
		cfg.PartSize, cfg.MaxAttempts = partSize, 3
		s := open(t, cfg)
		faults.Choose(func(s3lab.Record) s3lab.Kind { return kind })
		for _, op := range operations() {
			err := op.run(t.Context(), s)
			attempts := "after 3 attempts"
			if kind == s3lab.CutBefore { // from somebody who never spoke S3
				attempts = "after 2 attempts"
			}
			if err == nil || !text.MatchString(err.Error()) || !strings.Contains(err.Error(), attempts) {
				t.Errorf("%v in %s: %v", kind, op.name, err)
			}
		}
	}
}

// The same key with other content is not taken for a lost answer.
func TestLostAnswerOfAnother(t *testing.T) {
	for _, size := range []int{5000, 3 * partSize} {
		_, faults, url := lab(t, s3lab.Config{MinPart: 1})
		cfg := config(url)
		cfg.PartSize = partSize
		s := open(t, cfg)
		other := storagetest.Content(9, size)
		if _, err := s.Put(t.Context(), "key", bytes.NewReader(other), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		last := faults.Count()
		faults.Reset()
		faults.Nth(last, s3lab.ErrorBefore) // the request that gives the object its key
		_, err := s.Put(t.Context(), "key", bytes.NewReader(storagetest.Content(8, size)), storage.PutOptions{})
		if !errors.Is(err, errExist) || faults.Fired() != 1 {
			t.Errorf("%d bytes: %v", size, err)
		}
		checkStore(t, s, operation{after: map[string][]byte{"key": other}}, nil, "after it")
	}
}

// An object that is replaced while it is read must not come out as half of two.
func TestObjectChangesWhileRead(t *testing.T) {
	_, faults, url := lab(t, s3lab.Config{})
	s := open(t, config(url))
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(storagetest.Content(1, 4<<20)), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	faults.Reset()
	faults.Nth(1, s3lab.CutDownload)
	r, err := s.Get(t.Context(), "key", 0, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Remover().Remove(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(storagetest.Content(7, 4<<20)), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, tarn.ErrDamaged) {
		t.Errorf("read across the change: %v", err)
	}
}

// An object that is damaged in the bucket comes damaged each time: one further
// request shows that it was not the way here.
func TestDamagedIsReadTwice(t *testing.T) {
	_, faults, url := lab(t, s3lab.Config{})
	s := open(t, config(url))
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(storagetest.Content(1, 100)), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for flips, want := range map[int]error{1: nil, 100: tarn.ErrDamaged} {
		gets := 0
		faults.Choose(func(r s3lab.Record) s3lab.Kind {
			if r.Method != "GET" {
				return s3lab.NoFault
			}
			if gets++; gets > flips {
				return s3lab.NoFault
			}
			return s3lab.FlipDownload
		})
		r, err := s.Get(t.Context(), "key", 0, -1)
		if err == nil {
			r.Close()
		}
		if !errors.Is(err, want) || gets != 2 {
			t.Errorf("%d times damaged: %v after %d requests, want %v after 2", flips, err, gets, want)
		}
	}
}
