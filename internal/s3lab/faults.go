package s3lab

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Kind is what goes wrong with a request.
type Kind int

// The kinds of faults. "Before" means that the server never saw the request,
// "After" that it took effect and the client is told something else.
const (
	NoFault          Kind = iota
	ErrorBefore           // 500 InternalError
	ErrorAfter            // the same
	SlowDownBefore        // 503 SlowDown
	SlowDownAfter         // the same
	BadDigestBefore       // 400 BadDigest, as if the body had changed on its way
	CutBefore             // the connection closes without an answer
	CutAfter              // the same
	CutUpload             // the connection closes when half of the request's body is read
	CutDownload           // the connection closes after half of the answer's body
	TruncateDownload      // half of the answer's body, with a Content-Length that fits it
	StallDownload         // nothing more comes after half of the answer's body
	FlipDownload          // one bit of the answer's body, in its middle, is flipped
	lastKind
)

var kindNames = [...]string{
	"no fault", "500 before", "500 after", "503 before", "503 after", "400 BadDigest before", "cut before", "cut after",
	"cut upload", "cut download", "truncate download", "stall download", "flip download",
}

// Kinds returns all kinds of faults, for tests over them.
func Kinds() []Kind {
	var all []Kind
	for k := NoFault + 1; k < lastKind; k++ {
		all = append(all, k)
	}
	return all
}

// String names the kind.
func (k Kind) String() string {
	if k < 0 || k >= lastKind {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Record is a request as it was seen and answered.
type Record struct {
	N           int // counts from 1, in the order of arrival
	Method      string
	Bucket, Key string
	Query       string // as it was sent
	// In and Out are the bytes of the bodies that passed. They, Status and
	// Done are not known before the request has ended.
	In, Out int64
	Status  int
	Fault   Kind
	Done    bool
}

// Faults is an http.Handler before another one. It counts and records the
// requests, and makes those fail that it was told to. Its methods may be
// called at the same time from several goroutines.
type Faults struct {
	next http.Handler

	mu        sync.Mutex
	choose    func(Record) Kind
	noDeletes bool
	log       []*Record
}

// NewFaults returns a Faults before next that lets every request through.
func NewFaults(next http.Handler) *Faults { return &Faults{next: next} }

// Nth makes request n, from 1 since the last Reset, fail in that way.
func (f *Faults) Nth(n int, kind Kind) {
	f.Choose(func(r Record) Kind {
		if r.N == n {
			return kind
		}
		return NoFault
	})
}

// Choose makes the function say what happens to each request from here on;
// nil lets them through. It is given N, Method, Bucket, Key and Query.
func (f *Faults) Choose(choose func(Record) Kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choose = choose
}

// RefuseDeletes makes every DELETE be answered with 403 AccessDenied, as a
// key without the permission is, or ends that.
func (f *Faults) RefuseDeletes(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noDeletes = refuse
}

// Reset forgets the requests so far, so that the next is the first, and lets
// all through again. Whether DELETE is refused stays as it is.
func (f *Faults) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log, f.choose = nil, nil
}

// Count returns the number of requests since the last Reset.
func (f *Faults) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.log)
}

// Fired returns the number of requests since the last Reset that had a fault.
func (f *Faults) Fired() int {
	n := 0
	for _, r := range f.Log() {
		if r.Fault != NoFault {
			n++
		}
	}
	return n
}

// Log returns the requests since the last Reset, in the order of their N.
func (f *Faults) Log() []Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Record, len(f.log))
	for i, r := range f.log {
		out[i] = *r
	}
	return out
}

// begin records a request and chooses its fault.
func (f *Faults) begin(r *http.Request) (rec *Record, refuse bool) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.mu.Lock()
	rec = &Record{N: len(f.log) + 1, Method: r.Method, Bucket: bucket, Key: key, Query: r.URL.RawQuery}
	f.log = append(f.log, rec)
	seen, choose := *rec, f.choose
	refuse = f.noDeletes && r.Method == http.MethodDelete
	f.mu.Unlock()
	if choose != nil { // outside of the lock, so that it may use f
		kind := choose(seen)
		f.mu.Lock()
		rec.Fault = kind
		f.mu.Unlock()
	}
	return rec, refuse
}

// ServeHTTP implements http.Handler.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec, refuse := f.begin(r)
	in := &countingBody{ReadCloser: r.Body}
	r.Body = in
	out := &countingWriter{ResponseWriter: w}
	defer func() { // also when the connection is cut by a panic
		f.mu.Lock()
		defer f.mu.Unlock()
		rec.In, rec.Out, rec.Status, rec.Done = in.n.Load(), out.n, out.status, true
	}()
	req := &request{Request: r}
	if refuse {
		writeError(out, req, newError(http.StatusForbidden, "AccessDenied", "Access Denied"))
		return
	}
	f.serve(out, req, rec.Fault)
}

func (f *Faults) serve(w http.ResponseWriter, r *request, kind Kind) {
	switch kind {
	case ErrorBefore, SlowDownBefore, BadDigestBefore:
		// Read it all, or the client sees a cut connection at times.
		_, _ = io.Copy(io.Discard, r.Body)
		writeError(w, r, answers[kind])
	case CutBefore:
		panic(http.ErrAbortHandler)
	case CutUpload:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		panic(http.ErrAbortHandler)
	case ErrorAfter, SlowDownAfter:
		f.record(r)
		writeError(w, r, answers[kind])
	case CutAfter:
		f.record(r)
		panic(http.ErrAbortHandler)
	case CutDownload, TruncateDownload, StallDownload, FlipDownload:
		f.record(r).spoil(w, r, kind)
	default:
		f.next.ServeHTTP(w, r.Request)
	}
}

var answers = map[Kind]*Error{
	ErrorBefore:     newError(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again."),
	ErrorAfter:      newError(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again."),
	SlowDownBefore:  errSlowDown,
	SlowDownAfter:   errSlowDown,
	BadDigestBefore: errBadDigest,
}

// record lets a request through and keeps the answer to itself.
func (f *Faults) record(r *request) *answer {
	a := &answer{header: http.Header{}}
	f.next.ServeHTTP(a, r.Request)
	return a
}

// spoil sends the answer with a fault. One without a body has nothing to cut
// short: its connection is closed or stalls before the answer.
func (a *answer) spoil(w http.ResponseWriter, r *request, kind Kind) {
	body := a.body.Bytes()
	half := body[:len(body)/2]
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if len(body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	switch {
	case kind == FlipDownload:
		if len(body) > 0 {
			body[len(body)/2] ^= 1
		}
		w.WriteHeader(a.statusOK())
		_, _ = w.Write(body)
		return
	case kind == TruncateDownload:
		if len(body) > 0 {
			w.Header().Set("Content-Length", strconv.Itoa(len(half)))
		}
		w.WriteHeader(a.statusOK())
		_, _ = w.Write(half)
		return
	case len(body) > 0:
		w.WriteHeader(a.statusOK())
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush() // the cut comes next anyway
	}
	if kind == StallDownload {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees that the client leaves only then
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}
