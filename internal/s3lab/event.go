package s3lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Kind of an event, as the journal has it.
const (
	eventClock     = "clock"     // the clock was moved: Offset is what it is ahead of the real one
	eventBucket    = "bucket"    // a bucket was made
	eventRequest   = "request"   // a request was answered
	eventCreated   = "created"   // an object was stored, in the place of one that was there; Upload is what it was made of
	eventIntent    = "intent"    // a real server was asked to store an object in a cold class, or, with no class, has refused to
	eventRemoved   = "removed"   // an object was deleted
	eventMoved     = "moved"     // a lifecycle rule gave an object another class
	eventThaw      = "thaw"      // a temporary copy was asked for, sooner than before, or for longer
	eventUpload    = "upload"    // a multipart upload was begun
	eventPart      = "part"      // a part of it was stored, in the place of one of the same number
	eventAborted   = "aborted"   // it was given up
	eventExpedited = "expedited" // whether there is capacity for Expedited changed
)

// Event is a line of a lab's log: a request, a change of what is stored, or a
// change of the lab itself. What it has no use for is empty.
type Event struct {
	Kind string `json:"kind"`
	// Time is that of the lab's clock; of a request, when it arrived.
	Time   time.Time `json:"time"`
	Bucket string    `json:"bucket,omitempty"`
	Key    string    `json:"key,omitempty"`
	// Class is the object's, of a move the new one, and of a request the one that it bills at.
	Class string `json:"class,omitempty"`
	Size  int64  `json:"size,omitempty"` // bytes of the object or part

	// Of a request: the operation by S3's name, the bytes of both bodies, and
	// the code of an error. Size is that of the object it is about.
	Op     string `json:"op,omitempty"`
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	In     int64  `json:"in,omitempty"`
	Out    int64  `json:"out,omitempty"`
	// Source is the class of the object that a copy reads, Size its bytes.
	Source string `json:"source,omitempty"`

	// Of a thaw; Tier also of a request for one.
	Tier   string    `json:"tier,omitempty"`
	Days   int       `json:"days,omitempty"`
	Ready  time.Time `json:"ready,omitzero"`
	Expiry time.Time `json:"expiry,omitzero"`

	Upload    string        `json:"upload,omitempty"`
	Part      int           `json:"part,omitempty"`
	Offset    time.Duration `json:"offset,omitempty"`
	Available bool          `json:"available,omitempty"`

	// Content is where the lab's own store keeps an object or part, and what
	// else it knows of it; a lab before a real server has none.
	Content *content `json:"content,omitempty"`
}

// content is what the lab's own store keeps of an object, a part, or an
// object that is to be.
type content struct {
	Blob     string            `json:"blob,omitempty"`
	ETag     string            `json:"etag,omitempty"` // with its quotes
	Checksum checksum          `json:"checksum,omitzero"`
	Header   map[string]string `json:"header,omitempty"` // Content-Type and user metadata
}

// checksum is what the server keeps: an algorithm's name in lower case, its
// value in base64, and FULL_OBJECT or COMPOSITE.
type checksum struct {
	Algorithm string `json:"algorithm,omitempty"`
	Value     string `json:"value,omitempty"`
	Kind      string `json:"kind,omitempty"`
}

var errNoEvent = errors.New("no event of a lab")

// parseEvent reads a line of the journal, which nothing but the lab should
// have written; what comes out is safe to apply.
func parseEvent(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("%w: %w", errNoEvent, err)
	}
	if err := e.check(); err != nil {
		return Event{}, fmt.Errorf("%w: %w", errNoEvent, err)
	}
	return e, nil
}

func (e *Event) check() error {
	const most = 1 << 62 // sums of two stay numbers
	switch e.Kind {
	case eventClock, eventBucket, eventRequest, eventCreated, eventIntent, eventRemoved, eventMoved, eventThaw, eventUpload, eventPart, eventAborted, eventExpedited:
	default:
		return fmt.Errorf("kind %q", e.Kind)
	}
	if min(e.Size, e.In, e.Out) < 0 || max(e.Size, e.In, e.Out) > most {
		return errors.New("a size that is none")
	}
	if e.Content != nil && e.Content.Blob != "" && !validBlob(e.Content.Blob) {
		return fmt.Errorf("content %q", e.Content.Blob)
	}
	if !utf8.ValidString(e.Key) {
		return errors.New("a key that is not UTF-8")
	}
	return nil
}

// place is the name of an object.
type place struct{ bucket, key string }

func (e *Event) place() place { return place{e.Bucket, e.Key} }
