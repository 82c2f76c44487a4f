package s3lab

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// adopt remembers an object that was seen in an answer and is not known: it
// was there before the lab. Where anything was deleted since the request began,
// the answer may be older than that.
func (f *front) adopt(p *passage, found Info) (*Info, error) {
	o := f.glacier.info(place{found.Bucket, found.Key})
	if o != nil {
		return o, nil
	}
	if found.Class == "" {
		found.Class = standard
	}
	err := f.glacier.ledger.change(func(now time.Time) ([]Event, *Error) {
		found.Modified = now
		if class := f.glacier.intents[place{found.Bucket, found.Key}]; class != "" {
			found.Class = class
		}
		if f.glacier.objects[place{found.Bucket, found.Key}] != nil || f.glacier.removals != p.removals {
			return nil, nil
		}
		return []Event{{Kind: eventCreated, Bucket: found.Bucket, Key: found.Key, Class: found.Class, Size: found.Size}}, nil
	})
	return &found, err.orNil()
}

// object changes the answer to a GET or HEAD.
func (f *front) object(p *passage, resp *http.Response) error {
	seen := Info{Bucket: p.bucket, Key: p.key, Class: resp.Header.Get("x-amz-storage-class"), Size: wholeSize(resp)}
	o, err := f.adopt(p, seen)
	if err != nil {
		return err
	}
	if p.op == "GetObject" {
		if err := f.glacier.Read(*o); err != nil {
			return refuse(p, resp, err)
		}
	}
	describeClass(resp.Header, f.glacier, *o)
	resp.Header.Set("Last-Modified", o.Modified.UTC().Format(httpTime))
	return nil
}

// wholeSize is the size of the object that an answer has all or part of.
func wholeSize(resp *http.Response) int64 {
	_, whole, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		return max(n, 0)
	}
	return max(resp.ContentLength, 0)
}

// restored answers RestoreObject. The real server was asked to have it look at
// the signature; servers that know no thaw say so after that.
func (f *front) restored(p *passage, resp *http.Response) error {
	body, err := readDocument(resp)
	if err != nil {
		return err
	}
	switch status := resp.StatusCode; {
	case status < 300, status == http.StatusBadRequest, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
	case errorCode(body) == "InvalidObjectState":
	default:
		return nil
	}
	o := f.glacier.info(place{p.bucket, p.key})
	if o == nil {
		return refuse(p, resp, errNoSuchKey)
	}
	status, e := f.glacier.Restore(*o, p.body)
	if e != nil {
		return refuse(p, resp, e)
	}
	setBody(resp, status, nil)
	return nil
}
