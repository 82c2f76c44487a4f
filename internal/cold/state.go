package cold

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// State is how far an archive is from being read.
type State string

// The states of an archive.
const (
	Warm    State = "warm"    // readable at any time
	Thawed  State = "thawed"  // readable until its copy expires
	Thawing State = "thawing" // a copy is being made
	Frozen  State = "frozen"
	Missing State = "missing" // not in the storage
	// Damaged is frozen, or being thawed, and not as large as it was stored: it
	// would be paid for in vain. One that can be read is read, as far as it goes.
	Damaged State = "damaged"
)

// states lists the states, the nearest first.
var states = []State{Warm, Thawed, Thawing, Frozen, Missing, Damaged}

// Nearer compares states by how near they are to being read. What is being
// thawed is nearer than what nobody has paid for yet.
func Nearer(a, b State) int { return slices.Index(states, a) - slices.Index(states, b) }

// Object is an archive as the storage lists it.
type Object struct {
	Key   string     `json:"key"`
	Size  int64      `json:"size"` // bytes that are stored
	Class tarn.Class `json:"class,omitempty"`
	State State      `json:"state"`
	Until time.Time  `json:"until,omitzero"` // of one that is thawed
}

// Readable reports whether the archive can be read now.
func (o Object) Readable() bool { return o.State == Warm || o.State == Thawed }

// Lost reports whether nothing of the archive can ever be read.
func (o Object) Lost() bool { return o.State == Missing || o.State == Damaged }

// Expect returns what is known of an archive that was stored under a key with
// so many bytes. The zero Object is one that is not there.
func (o Object) Expect(key string, stored int64) Object {
	switch {
	case o.State == "":
		return Object{Key: key, State: Missing}
	case o.Size != stored && !o.Readable():
		o.State = Damaged
	}
	return o
}

// ObjectOf says what a listing means. Of classes that tarn does not know, it
// believes that they can be read, as all but two can.
func ObjectOf(o storage.Object, now time.Time) Object {
	c := Object{Key: o.Key, Size: o.Size, Class: o.Class, State: Frozen}
	switch {
	case !o.Class.Cold():
		c.State = Warm
	case o.Thawing:
		c.State = Thawing
	case now.Before(o.Thawed):
		c.State, c.Until = Thawed, o.Thawed
	}
	return c
}

// Listing is the archives of a repository, by key.
type Listing struct {
	Objects  map[string]Object
	Requests int64 // that it took
	Cold     int   // objects that are not warm
}

// pageSize is how many objects S3 lists in one request.
const pageSize = 1000

// List looks at all archives of a repository, with a request for 1,000 of them.
// Where the storage tells the time, that counts, and not now.
func List(ctx context.Context, s storage.Storage, now time.Time) (*Listing, error) {
	l := &Listing{Objects: map[string]Object{}}
	for o, err := range s.List(ctx, "archives/") {
		if err != nil {
			return nil, fmt.Errorf("looking at the archives: %w", err)
		}
		c := ObjectOf(o, storage.TimeOf(s, now))
		if c.State != Warm {
			l.Cold++
		}
		l.Objects[o.Key] = c
	}
	l.Requests = int64(max(1, (len(l.Objects)+pageSize-1)/pageSize))
	return l, nil
}

// Of returns what is known of an archive: Missing, if it is not there.
func (l *Listing) Of(key string) Object {
	if o, ok := l.Objects[key]; ok {
		return o
	}
	return Object{Key: key, State: Missing}
}
