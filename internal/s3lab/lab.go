// Package s3lab is an S3 server for tests and for trying things on a laptop.
// It uses the standard library only.
//
// Server is an http.Handler with a store of its own: path-style S3 with
// buckets, objects with conditional writes and checked checksums, multipart
// uploads, copies, ranges and paged listings. It does not check signatures.
// Proxy is a reverse proxy to a real S3 server. Faults goes before either,
// counts requests, records them and makes chosen ones fail.
//
// Lab is either of them with the archive classes of S3: objects in GLACIER and
// DEEP_ARCHIVE have to be thawed before they can be read, which takes hours on
// a clock that can be moved. It keeps a log, from which a bill is made.
package s3lab

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// LabConfig says what a Lab is. The zero value is one in memory that lets everybody in.
type LabConfig struct {
	// Dir is the folder where the lab keeps everything, so that it can be ended
	// and started again; empty means memory. It is made if it is not there.
	// One lab at a time may use it.
	Dir string
	// Upstream is a real S3 server that stores the objects, and checks keys and
	// signatures; nil means a store of the lab's own.
	Upstream *url.URL
	// AccessKey, when set, is the only access key whose requests are let in by
	// the store of its own, and that can use the control path.
	AccessKey string
	// SecretKey and Region are used to make buckets on a real server.
	SecretKey, Region string
	// MinPart and MaxKeys are those of Config.
	MinPart int64
	MaxKeys int
	// Now is the real clock, from which the lab's starts; nil means time.Now.
	Now func() time.Time
	// Observe, when set, is called with each request once it is in the log, by
	// several goroutines at the same time.
	Observe func(Event)
}

// Lab is S3 with its archive classes, a clock that can be moved, a log and a
// bill. It implements http.Handler.
type Lab struct {
	*Glacier
	cfg    LabConfig
	ledger *Ledger
	server *Server // nil before a real server
	gate   *gate
	next   http.Handler
}

// Open returns a lab, with all that is in its folder.
func Open(cfg LabConfig) (*Lab, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Lab{cfg: cfg, ledger: newLedger(cfg.Now, &memory{}), gate: &gate{now: cfg.Now}}
	l.Glacier = newGlacier(l.ledger)
	disk := diskBlobs{filepath.Join(cfg.Dir, "content")}
	if cfg.Upstream != nil {
		l.next = newFront(l.Glacier, cfg.Upstream)
	} else {
		kept := blobs(&memoryBlobs{})
		if cfg.Dir != "" {
			kept = disk
		}
		l.server = newServer(Config{AccessKey: cfg.AccessKey, MinPart: cfg.MinPart, MaxKeys: cfg.MaxKeys, Cold: l.Glacier}, l.ledger, kept)
		l.next = l.server
	}
	l.next = &meter{next: l.next, glacier: l.Glacier, gate: l.gate, observe: cfg.Observe}
	if cfg.Dir == "" {
		return l, nil
	}
	return l, l.load(disk)
}

// load applies what the folder has, and removes what uploads that were not
// finished have left in it.
func (l *Lab) load(disk diskBlobs) error {
	if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the lab's folder: %w", err)
	}
	j, err := openJournal(filepath.Join(l.cfg.Dir, "journal.jsonl"), l.ledger.replay)
	if err != nil {
		return fmt.Errorf("opening the lab's journal: %w", err)
	}
	l.ledger.keep = j
	if l.server == nil {
		return nil
	}
	used := l.server.store.used()
	if err := disk.sweep(func(id string) bool { return used[id] }); err != nil {
		return errors.Join(err, j.close())
	}
	return nil
}

// Close ends the lab, to which no request may come any more.
func (l *Lab) Close() error { return l.ledger.keep.close() }

// CreateBucket makes a bucket. One that is there stays as it is.
func (l *Lab) CreateBucket(ctx context.Context, name string) error {
	var err error
	if l.server == nil {
		err = l.createUpstream(ctx, name)
	} else {
		err = l.server.store.createBucket(name).orNil()
	}
	if err != nil {
		return fmt.Errorf("making the bucket %s: %w", name, err)
	}
	return nil
}

// Now is the time on the lab's clock.
func (l *Lab) Now() time.Time { return l.ledger.Now() }

// Advance moves the clock forward. Thaws get ready, copies expire and storage
// is paid for as if so much time had passed.
func (l *Lab) Advance(d time.Duration) error { return l.ledger.Advance(d) }

// Limit makes the lab answer 503 SlowDown to requests beyond so many a second
// of the real clock, all of them together and RestoreObject alone; 0 ends that.
func (l *Lab) Limit(all, restores int) { l.gate.limit(all, restores) }

// Events is the lab's log: what has happened so far, in its order.
func (l *Lab) Events() iter.Seq2[Event, error] { return l.ledger.Events() }

// Bill sums the log up to now.
func (l *Lab) Bill() (*Bill, error) { return MakeBill(l.Events(), l.Now()) }

// ServeHTTP implements http.Handler.
func (l *Lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, ControlPath) {
		l.control(w, r)
		return
	}
	l.next.ServeHTTP(w, r)
}

// let reports whether the access key of a request for the control path is the lab's.
func (l *Lab) let(key string) bool {
	return l.cfg.AccessKey == "" || subtle.ConstantTimeCompare([]byte(key), []byte(l.cfg.AccessKey)) == 1
}
