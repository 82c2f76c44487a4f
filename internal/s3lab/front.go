package s3lab

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// front is the cold behaviour before a real S3 server. That server gets every
// request as it was sent, checks who asks, and stores; front remembers each
// object's class, and changes the answers that depend on it. Nothing is
// answered before it is in the ledger.
//
// It knows what passed through it, and what it has seen in answers since:
// objects that were there before are in the class that the server names.
// Versions of an object are one to it, and of two writes of a key at the same
// time it takes the one that was answered last for the one that is there.
type front struct {
	glacier *Glacier
	proxy   *httputil.ReverseProxy
}

func newFront(glacier *Glacier, upstream *url.URL) *front {
	f := &front{glacier: glacier, proxy: newProxy(upstream)}
	f.proxy.ModifyResponse = f.modify
	return f
}

// passage is a request on its way through.
type passage struct {
	*request
	op       string
	body     []byte // of the operations whose body says something
	removals int    // of all objects, when it began
	source   *Info  // what a copy reads, nil if that is not known
	intent   bool   // the ledger knows what it is about to store
}

type passageKey struct{}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	p := &passage{request: newRequest(hr)}
	p.op = p.operation()
	f.glacier.ledger.read(func(time.Time) { p.removals = f.glacier.removals })
	err := f.prepare(p)
	if err == nil {
		err = f.intend(p)
	}
	if err != nil {
		writeError(w, p.request, err)
		return
	}
	f.proxy.ServeHTTP(w, hr.WithContext(context.WithValue(hr.Context(), passageKey{}, p)))
}

// prepare reads what has to be known of a request before it goes on.
func (f *front) prepare(p *passage) *Error {
	if !utf8.ValidString(p.key) {
		return errInvalidURI // which could not be written down
	}
	switch p.op {
	case "ListObjects", "ListObjectsV2":
		// A listing is changed on its way, so it should not come compressed. What
		// the client has signed stays.
		if !strings.Contains(p.Header.Get("Authorization"), "accept-encoding") {
			p.Header.Del("Accept-Encoding")
		}
	case "CompleteMultipartUpload", "DeleteObjects", "RestoreObject":
		body, err := io.ReadAll(io.LimitReader(p.Body, maxDocument+1))
		if err != nil || len(body) > maxDocument {
			return errIncomplete
		}
		p.body, p.Body = body, io.NopCloser(bytes.NewReader(body))
	case "CopyObject", "UploadPartCopy":
		from, err := p.copySource()
		if err != nil {
			return err
		}
		// The real server would copy it, so it is not asked.
		if p.source = f.glacier.info(from); p.source != nil {
			return f.glacier.Read(*p.source)
		}
	}
	return nil
}

// intend writes down what the real server is about to store in a cold class.
// Should the lab end before it knows how that ended, it will know the class once
// it sees the object.
func (f *front) intend(p *passage) *Error {
	if !writes(p.op) {
		return nil
	}
	return f.glacier.ledger.change(func(time.Time) ([]Event, *Error) {
		class := classAsked(p.request)
		if u := f.glacier.uploads[p.param("uploadId")]; u != nil {
			class = u.class
		}
		if p.intent = cold(class); !p.intent {
			return nil, nil
		}
		return []Event{{Kind: eventIntent, Bucket: p.bucket, Key: p.key, Class: class}}, nil
	})
}

// modify changes an answer of the real server.
func (f *front) modify(resp *http.Response) error {
	p, _ := resp.Request.Context().Value(passageKey{}).(*passage)
	if p == nil {
		return nil
	}
	if p.intent && resp.StatusCode >= 300 && resp.StatusCode < 500 { // nothing was stored
		return f.record(Event{Kind: eventIntent, Bucket: p.bucket, Key: p.key})
	}
	if p.op == "RestoreObject" {
		return f.restored(p, resp)
	}
	if resp.StatusCode >= 300 {
		return nil
	}
	switch p.op {
	case "PutObject":
		return f.record(p.created(p.sentSize()))
	case "CopyObject", "UploadPartCopy", "CreateMultipartUpload", "CompleteMultipartUpload", "DeleteObjects":
		return f.document(p, resp)
	case "UploadPart":
		return f.record(p.part(p.sentSize()))
	case "AbortMultipartUpload":
		return f.record(Event{Kind: eventAborted, Bucket: p.bucket, Key: p.key, Upload: p.param("uploadId")})
	case "DeleteObject":
		return f.record(Event{Kind: eventRemoved, Bucket: p.bucket, Key: p.key})
	case "CreateBucket":
		return f.record(Event{Kind: eventBucket, Bucket: p.bucket})
	case "GetObject", "HeadObject":
		return f.object(p, resp)
	case "ListObjects", "ListObjectsV2":
		return f.listing(p, resp)
	}
	return nil
}

func (f *front) record(events ...Event) error {
	return f.glacier.ledger.change(func(time.Time) ([]Event, *Error) { return events, nil }).orNil()
}

// sentSize is the size of what an upload has stored.
func (p *passage) sentSize() int64 {
	if n, err := strconv.ParseInt(p.Header.Get("x-amz-decoded-content-length"), 10, 64); err == nil && n >= 0 {
		return n
	}
	return max(p.ContentLength, 0)
}

func (p *passage) created(size int64) Event {
	return Event{Kind: eventCreated, Bucket: p.bucket, Key: p.key, Class: classAsked(p.request), Size: size}
}

func (p *passage) part(size int64) Event {
	n, _ := strconv.Atoi(p.param("partNumber")) // which the server has accepted
	return Event{Kind: eventPart, Bucket: p.bucket, Key: p.key, Upload: p.param("uploadId"), Part: n, Size: size}
}

// document reads the XML of an answer, which can be an error in spite of its
// status, and records what the request did.
func (f *front) document(p *passage, resp *http.Response) error {
	body, err := readDocument(resp)
	if err != nil {
		return err
	}
	var doc struct {
		XMLName  xml.Name
		UploadID string                 `xml:"UploadId"`
		Errors   []struct{ Key string } `xml:"Error"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", p.op, err)
	}
	if doc.XMLName.Local == "Error" {
		return nil
	}
	switch p.op {
	case "CreateMultipartUpload":
		e := p.created(0)
		e.Kind, e.Upload = eventUpload, doc.UploadID
		return f.record(e)
	case "CompleteMultipartUpload":
		return f.completed(p)
	case "DeleteObjects":
		kept := func(key string) bool {
			return slices.ContainsFunc(doc.Errors, func(e struct{ Key string }) bool { return e.Key == key })
		}
		return f.deleted(p, kept)
	case "CopyObject":
		return f.record(p.created(p.sourceSize()))
	}
	return f.record(p.part(p.sourceSize()))
}

// sourceSize is the number of bytes that a copy has read, 0 if it is not known.
func (p *passage) sourceSize() int64 {
	if p.source == nil {
		return 0
	}
	start, end, err := parseRange(p.Header.Get("x-amz-copy-source-range"), p.source.Size)
	if err != nil {
		return 0
	}
	return end - start
}

// completed records the object that an upload became: the class it was begun
// with, and the sizes of the parts that the client has listed.
func (f *front) completed(p *passage) error {
	var list completion
	if err := xml.Unmarshal(p.body, &list); err != nil {
		return fmt.Errorf("reading a list of parts: %w", err)
	}
	return f.glacier.ledger.change(func(time.Time) ([]Event, *Error) {
		e := p.created(0)
		e.Upload = p.param("uploadId")
		if u := f.glacier.uploads[e.Upload]; u != nil {
			e.Class = u.class
			for _, part := range list.Parts {
				e.Size += u.parts[part.PartNumber]
			}
		}
		return []Event{e}, nil
	}).orNil()
}

func (f *front) deleted(p *passage, kept func(key string) bool) error {
	keys, _, err := deletedKeys(p.body)
	if err != nil {
		return err
	}
	var events []Event
	for _, key := range keys {
		if !kept(key) {
			events = append(events, Event{Kind: eventRemoved, Bucket: p.bucket, Key: key})
		}
	}
	return f.record(events...)
}
