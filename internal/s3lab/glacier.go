package s3lab

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Glacier is how S3's archive classes behave. It knows each object's class,
// what became of its thaw, and the multipart uploads, all from the ledger. It
// is the Cold of a Server, and what a lab before a real server asks.
type Glacier struct {
	ledger *Ledger
	// The ledger's lock guards these.
	objects     map[place]*cooled
	uploads     map[string]*begun
	intents     map[place]string // the classes of writes whose end is not known
	noExpedited bool
	removals    int // so far
}

// cooled is an object and its thaw.
type cooled struct {
	Info
	thaw *thaw
}

type thaw struct {
	tier          string
	days          int
	ready, expiry time.Time
}

// begun is a multipart upload, with the sizes of its parts.
type begun struct {
	class string
	parts map[int]int64
}

func newGlacier(ledger *Ledger) *Glacier {
	g := &Glacier{ledger: ledger, objects: map[place]*cooled{}, uploads: map[string]*begun{}, intents: map[place]string{}}
	ledger.apply = append(ledger.apply, g.apply)
	return g
}

func (g *Glacier) apply(e Event) {
	switch e.Kind {
	case eventCreated:
		g.objects[e.place()] = &cooled{Info: Info{Bucket: e.Bucket, Key: e.Key, Size: e.Size, Class: e.Class, Modified: e.Time}}
		delete(g.uploads, e.Upload)
		delete(g.intents, e.place())
	case eventIntent:
		if e.Class == "" {
			delete(g.intents, e.place())
		} else {
			g.intents[e.place()] = e.Class
		}
	case eventRemoved:
		delete(g.objects, e.place())
		delete(g.intents, e.place())
		g.removals++
	case eventMoved:
		if o := g.objects[e.place()]; o != nil {
			o.Class, o.thaw = e.Class, nil
		}
	case eventThaw:
		if o := g.objects[e.place()]; o != nil {
			o.thaw = &thaw{e.Tier, e.Days, e.Ready, e.Expiry}
		}
	case eventUpload:
		g.uploads[e.Upload] = &begun{class: e.Class, parts: map[int]int64{}}
	case eventPart:
		if u := g.uploads[e.Upload]; u != nil {
			u.parts[e.Part] = e.Size
		}
	case eventAborted:
		delete(g.uploads, e.Upload)
	case eventExpedited:
		g.noExpedited = !e.Available
	}
}

// at is the thaw of an object at a time, nil if there is none or it is over.
func (o *cooled) at(now time.Time) *thaw {
	if o == nil || o.thaw == nil || !now.Before(o.thaw.expiry) {
		return nil
	}
	return o.thaw
}

func (t *thaw) ongoing(now time.Time) bool { return t != nil && now.Before(t.ready) }

// Read implements Cold. A copy from a cold object ends in the same error: the
// reference has ObjectNotInActiveTierError for it, too, but InvalidObjectState is
// what S3's users report.
func (g *Glacier) Read(o Info) (err *Error) {
	if !cold(o.Class) {
		return nil
	}
	g.ledger.read(func(now time.Time) {
		if t := g.objects[place{o.Bucket, o.Key}].at(now); t == nil || t.ongoing(now) {
			err = &Error{http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class", o.Class}
		}
	})
	return err
}

// Restoration implements Cold.
func (g *Glacier) Restoration(o Info) (r *Restoration) {
	g.ledger.read(func(now time.Time) {
		switch t := g.objects[place{o.Bucket, o.Key}].at(now); {
		case t == nil:
		case t.ongoing(now):
			r = &Restoration{Ongoing: true}
		default:
			r = &Restoration{Expiry: t.expiry}
		}
	})
	return r
}

// Restore implements Cold.
func (g *Glacier) Restore(o Info, body []byte) (status int, _ *Error) {
	days, tier, err := parseRestore(body)
	if err != nil {
		return 0, err
	}
	err = g.ledger.change(func(now time.Time) (events []Event, err *Error) {
		found := g.objects[place{o.Bucket, o.Key}]
		if found == nil {
			return nil, errNoSuchKey
		}
		var t *thaw
		if status, t, err = g.thaw(found, now, days, tier); err != nil {
			return nil, err
		}
		return []Event{{
			Kind: eventThaw, Bucket: o.Bucket, Key: o.Key, Class: found.Class, Size: found.Size,
			Tier: t.tier, Days: t.days, Ready: t.ready, Expiry: t.expiry,
		}}, nil
	})
	return status, err
}

// thaw decides what a request for a copy leads to.
func (g *Glacier) thaw(o *cooled, now time.Time, days int, tier string) (status int, _ *thaw, _ *Error) {
	running := o.at(now)
	switch {
	case !cold(o.Class):
		return 0, nil, errWarm(o.Class)
	case running != nil && !running.ongoing(now):
		// Another period for the copy that is there, counted from now. No
		// tier is needed for that.
		return http.StatusOK, &thaw{running.tier, days, running.ready, expiryOf(now, days)}, nil
	case delays[o.Class][tier] == [2]time.Duration{}:
		// AWS's reference says that there is no Expedited for DEEP_ARCHIVE, and
		// not with which error; this is what users report, not known for certain.
		return 0, nil, invalidArgument("Retrieval option is not supported by this storage class")
	case running != nil && !faster(tier, running.tier):
		return 0, nil, newError(http.StatusConflict, "RestoreAlreadyInProgress", "Object restore is already in progress")
	case tier == "Expedited" && g.noExpedited:
		return 0, nil, newError(http.StatusServiceUnavailable, "GlacierExpeditedRetrievalNotAvailable", "Glacier expedited retrievals are currently not available, please try again later")
	}
	ready := now.Add(delayOf(o.Info, tier))
	if running != nil { // a faster tier; the period can't be changed while it runs
		days = running.days
		if running.ready.Before(ready) {
			ready = running.ready
		}
	}
	return http.StatusAccepted, &thaw{tier, days, ready, expiryOf(ready, days)}, nil
}

// info returns what is known of an object, nil if that is nothing.
func (g *Glacier) info(p place) (found *Info) {
	g.ledger.read(func(time.Time) {
		if o := g.objects[p]; o != nil {
			i := o.Info
			found = &i
		}
	})
	return found
}

// Expedited says whether there is capacity for Expedited.
func (g *Glacier) Expedited(available bool) error {
	return g.ledger.change(func(time.Time) ([]Event, *Error) {
		return []Event{{Kind: eventExpedited, Available: available}}, nil
	}).orNil()
}

// Move does what a lifecycle rule does to the objects of a bucket whose keys
// start with prefix, and returns how many it moved. As on S3 objects only get
// colder: those that are in a later class stay there.
func (g *Glacier) Move(bucket, prefix, class string) (moved int, _ error) {
	to := slices.Index(classes, class)
	if to < 0 {
		return 0, fmt.Errorf("class %q: want one of %s", class, strings.Join(classes, ", "))
	}
	err := g.ledger.change(func(time.Time) (events []Event, _ *Error) {
		for p, o := range g.objects {
			if p.bucket == bucket && strings.HasPrefix(p.key, prefix) && slices.Index(classes, o.Class) < to {
				events = append(events, Event{Kind: eventMoved, Bucket: p.bucket, Key: p.key, Class: class, Size: o.Size})
			}
		}
		moved = len(events)
		slices.SortFunc(events, func(a, b Event) int { return strings.Compare(a.Key, b.Key) })
		return events, nil
	})
	return moved, err.orNil()
}
