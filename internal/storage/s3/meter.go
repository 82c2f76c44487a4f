package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// meter counts attempts of requests. It is the client's last stop before the
// network, so that it sees each attempt, whoever repeats it.
type meter struct {
	next aws.HTTPClient
	now  func() time.Time
	mu   sync.Mutex
	seen storage.Metered
	// told is the time in the newest answer, and heard when that came by our own clock.
	told, heard time.Time
}

func newMeter() *meter {
	return &meter{now: time.Now, seen: storage.Metered{Requests: map[storage.Request]int64{}, Retrieved: map[tarn.Class]int64{}, Stored: map[tarn.Class]int64{}}}
}

// Metered implements storage.Meter.
func (s *Storage) Metered() storage.Metered {
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	return s.meter.seen.Clone()
}

// Clock implements storage.Clock. Since the last answer, our own clock has gone on.
func (s *Storage) Clock() (time.Time, bool) {
	m := s.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.told.Add(m.now().Sub(m.heard)), !m.told.IsZero()
}

// hear notes the time in an answer. The lock is held.
func (m *meter) hear(h http.Header) {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		m.told, m.heard = t, m.now()
	}
}

// billedAs is what a context says of the requests made with it, where their
// headers don't: the class of the object, the tier of a thaw.
type billedAs struct {
	class tarn.Class
	tier  storage.Tier
}

type billedKey struct{}

// billAs notes the class that the requests of a Put or a Thaw bill at: of parts,
// of their completion and of RestoreObject the headers don't tell.
func billAs(ctx context.Context, class tarn.Class) context.Context {
	return context.WithValue(ctx, billedKey{}, billedAs{class: class})
}

// noteTier notes the tier of a thaw, which only its body tells.
func noteTier(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("TarnTier", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		if r, ok := in.Parameters.(*s3.RestoreObjectInput); ok && r.RestoreRequest != nil && r.RestoreRequest.GlacierJobParameters != nil {
			as, _ := ctx.Value(billedKey{}).(billedAs)
			as.tier = storage.Tier(r.RestoreRequest.GlacierJobParameters.Tier)
			ctx = context.WithValue(ctx, billedKey{}, as)
		}
		return next.HandleInitialize(ctx, in)
	}), middleware.Before)
}

// meterAll makes a client's requests go through the meter.
func (m *meter) meterAll(o *s3.Options) {
	m.next = o.HTTPClient
	o.HTTPClient = m
	o.APIOptions = append(o.APIOptions, noteTier)
}

// sentKey is that of a flag in a context, which is set as soon as a request with
// it has a connection to go out by.
type sentKey struct{}

// watched is a request whose flag, if it has one, is set when it is sent.
func watched(req *http.Request) (*http.Request, *atomic.Bool) {
	ctx := req.Context()
	sent, ok := ctx.Value(sentKey{}).(*atomic.Bool)
	if !ok {
		return req, new(atomic.Bool)
	}
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}
	return req.WithContext(httptrace.WithClientTrace(ctx, trace)), sent
}

// Do implements aws.HTTPClient.
func (m *meter) Do(req *http.Request) (*http.Response, error) {
	req, sent := watched(req)
	resp, err := m.next.Do(req)
	as, _ := req.Context().Value(billedKey{}).(billedAs)
	r := storage.Request{Operation: awsmiddleware.GetOperationName(req.Context()), Class: as.class, Tier: as.tier}
	if err != nil {
		m.lost(r, sent.Load())
		return resp, err
	}
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		r.Class = "" // it is the object's, which may be another than the one that a Put wants
	}
	if told := resp.Header.Get("x-amz-storage-class"); told != "" {
		r.Class = tarn.Class(told)
	}
	body := &meteredBody{ReadCloser: resp.Body, m: m}
	let := true
	if resp.StatusCode == http.StatusForbidden {
		var asCold tarn.Class
		if asCold, let = coldRefusal(body); let && asCold != "" {
			r.Class = asCold
		}
	}
	if r.Class == "" {
		r.Class = tarn.Standard
	}
	if r.Operation == "GetObject" && resp.StatusCode < 300 {
		body.of = r.Class
	}
	resp.Body = body
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hear(resp.Header)
	if let && resp.StatusCode < 500 {
		m.seen.Requests[r]++
	} else {
		m.seen.Free++
	}
	return resp, nil
}

// lost counts a request without an answer. One that was watched and sent may be
// billed, and counts as if.
func (m *meter) lost(r storage.Request, sent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !sent {
		m.seen.Free++
		return
	}
	if r.Class == "" {
		r.Class = tarn.Standard
	}
	m.seen.Requests[r]++
}

// maxRefusal is more than the text of any error takes.
const maxRefusal = 64 << 10

// coldRefusal reads the text of a 403, and reports whether the request was let
// in after all: it was refused since the object is cold, and is billed. A
// stranger's is not.
func coldRefusal(body *meteredBody) (class tarn.Class, let bool) {
	text, err := io.ReadAll(io.LimitReader(body.ReadCloser, maxRefusal))
	rest := io.Reader(body.ReadCloser)
	if err != nil {
		rest = &brokenReader{err}
	}
	body.ReadCloser = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), body.ReadCloser}
	var doc struct {
		Code         string
		StorageClass string
	}
	if xml.Unmarshal(text, &doc) != nil || doc.Code != "InvalidObjectState" {
		return "", false
	}
	return tarn.Class(doc.StorageClass), true
}

// brokenReader gives the error of a body that was read ahead.
type brokenReader struct{ err error }

func (b *brokenReader) Read([]byte) (int, error) { return 0, b.err }

// meteredBody counts the bytes of an answer.
type meteredBody struct {
	io.ReadCloser
	m  *meter
	of tarn.Class // of the object that is read, empty if none is
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.m.mu.Lock()
		b.m.seen.Down += int64(n)
		if b.of != "" {
			b.m.seen.Retrieved[b.of] += int64(n)
		}
		b.m.mu.Unlock()
	}
	return n, err
}

// stored counts an object that was put.
func (m *meter) stored(class tarn.Class, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen.Stored[class] += size
}
