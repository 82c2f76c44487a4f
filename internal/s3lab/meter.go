package s3lab

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// meter is a handler before another one that writes each request into the
// ledger. A request is in it before the client has the end of the answer, so
// that a lab that is killed has forgotten none that anybody saw answered.
type meter struct {
	next    http.Handler
	glacier *Glacier
	gate    *gate
	observe func(Event) // may be nil
}

// ServeHTTP implements http.Handler.
func (m *meter) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := newRequest(hr)
	e, err := m.begin(r)
	in := &countingBody{ReadCloser: hr.Body}
	hr.Body = in
	out := &meteredWriter{ResponseWriter: w, now: m.glacier.ledger.Now}
	out.finish = func() error {
		e.In, e.Out, e.Status, e.Code = in.n.Load(), out.n, out.status, errorCode(out.start)
		return m.record(e)
	}
	defer out.end() // also when the connection is cut by a panic
	switch {
	case err != nil:
		writeError(out, r, err)
	case m.gate.refuses(e.Op):
		_, _ = io.Copy(io.Discard, hr.Body) // or the client sees a cut connection at times
		writeError(out, r, errSlowDown)
	default:
		m.next.ServeHTTP(out, hr)
	}
	if out.status == 0 { // as net/http has it for a handler that says nothing
		out.status = http.StatusOK
	}
	if out.end() != nil {
		panic(http.ErrAbortHandler) // what can't be recorded is not answered
	}
}

func (m *meter) record(e Event) error {
	err := m.glacier.ledger.change(func(time.Time) ([]Event, *Error) { return []Event{e}, nil })
	if err == nil && m.observe != nil {
		m.observe(e)
	}
	return err.orNil()
}

// begin is what is known of a request when it arrives. The body of a
// RestoreObject, which names its tier, is read for that.
func (m *meter) begin(r *request) (Event, *Error) {
	g := m.glacier
	key := strings.ToValidUTF8(r.key, "\uFFFD") // of a request that will be refused
	e := Event{Kind: eventRequest, Time: g.ledger.Now(), Bucket: r.bucket, Key: key, Op: r.operation(), Class: standard}
	if sub := r.subresource(); sub != "" {
		return e, nil
	}
	switch e.Op {
	case "PutObject", "CopyObject", "CreateMultipartUpload":
		e.Class = classAsked(r)
	case "CompleteMultipartUpload", "UploadPart", "UploadPartCopy":
		g.ledger.read(func(time.Time) {
			if u := g.uploads[r.param("uploadId")]; u != nil {
				e.Class = u.class
			}
		})
		if e.Op != "CompleteMultipartUpload" {
			e.Class = partClass(e.Class)
		}
	case "GetObject", "HeadObject", "RestoreObject":
		if o := g.info(place{r.bucket, r.key}); o != nil {
			e.Class, e.Size = o.Class, o.Size
		}
	}
	if from, err := r.copySource(); err == nil {
		if o := g.info(from); o != nil {
			p := passage{request: r, source: o}
			e.Source, e.Size = o.Class, p.sourceSize()
		}
	}
	if e.Op == "RestoreObject" {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxDocument+1))
		if err != nil || len(body) > maxDocument {
			return e, errIncomplete
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _, tier, err := parseRestore(body); err == nil {
			e.Tier = tier
		}
	}
	return e, nil
}

// meteredWriter counts an answer, and calls finish once before its end is sent.
type meteredWriter struct {
	http.ResponseWriter
	now      func() time.Time // by the lab's clock, which the answer's Date tells
	finish   func() error
	status   int
	n        int64  // bytes of the body
	length   int64  // that were announced, -1 if they were not
	start    []byte // of the body of an error
	finished bool
	err      error
}

// end calls finish unless it was called, and returns its error.
func (w *meteredWriter) end() error {
	if !w.finished {
		w.finished = true
		w.err = w.finish()
	}
	return w.err
}

// WriteHeader implements http.ResponseWriter.
func (w *meteredWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // an interim answer is not the answer
		w.status, w.length = status, -1
		if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil {
			w.length = n
		}
		// A server behind the lab has a clock of its own, by which it checks signatures.
		if w.Header().Get("Date") == "" {
			w.Header().Set("Date", w.now().UTC().Format(http.TimeFormat))
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *meteredWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.status >= 300 && len(w.start) < 512 {
		w.start = append(w.start, p[:min(len(p), 512)]...)
	}
	if last := w.n+int64(len(p)) >= w.length && w.length >= 0; last && !w.finished {
		w.n += int64(len(p))
		if err := w.end(); err != nil {
			return 0, err
		}
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what is below.
func (w *meteredWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// gate lets only so many requests through in a second of the real clock.
type gate struct {
	now func() time.Time

	mu                sync.Mutex
	all, restores     int // the most in a second; 0 is no limit
	second            int64
	seen, seenRestore int // in this second
}

// refuses counts a request and reports whether it is one too many.
func (g *gate) refuses(op string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.now().Unix(); s != g.second {
		g.second, g.seen, g.seenRestore = s, 0, 0
	}
	g.seen++
	if op == "RestoreObject" {
		g.seenRestore++
	}
	return g.all > 0 && g.seen > g.all || op == "RestoreObject" && g.restores > 0 && g.seenRestore > g.restores
}

func (g *gate) limit(all, restores int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all, g.restores = all, restores
}
