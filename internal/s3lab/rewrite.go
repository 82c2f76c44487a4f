package s3lab

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// readDocument reads the body of an answer and leaves it to be read again.
func readDocument(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = errors.New("it is too long")
	}
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// setBody makes a body of XML the answer; nil is an answer without one.
func setBody(resp *http.Response, status int, body []byte) {
	resp.StatusCode, resp.Status = status, ""
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.TransferEncoding = nil
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	if body != nil {
		resp.Header.Set("Content-Type", "application/xml")
	}
}

// refuse makes an error the answer, and keeps nothing of the one that there was.
func refuse(p *passage, resp *http.Response, e *Error) error {
	body, err := xml.Marshal(e.body(p.request))
	if err != nil {
		return err
	}
	// What the server would have sent is not read: the connection ends with it.
	err = resp.Body.Close()
	for name := range resp.Header {
		if name != "Date" && name != "Server" && !strings.HasPrefix(name, "X-Amz-Request-Id") {
			resp.Header.Del(name)
		}
	}
	setBody(resp, e.Status, append([]byte(xml.Header), body...))
	return err
}

// errorCode is the code in the XML of an error, "" if there is none.
func errorCode(body []byte) string {
	_, rest, _ := bytes.Cut(body, []byte("<Code>"))
	code, _, ok := bytes.Cut(rest, []byte("</Code>"))
	if !ok || len(code) > 100 {
		return ""
	}
	return string(code)
}

// listing puts classes, thaws and the lab's times into a listing.
func (f *front) listing(p *passage, resp *http.Response) error {
	if e := resp.Header.Get("Content-Encoding"); e != "" {
		return fmt.Errorf("the server sends a listing as %s, which the lab can't read", e)
	}
	body, err := readDocument(resp)
	if err != nil {
		return err
	}
	restore := strings.Contains(p.Header.Get("x-amz-optional-object-attributes"), "RestoreStatus")
	body, err = rewriteList(body, func(e listed) (*Info, *restoreStatus, error) {
		o, err := f.adopt(p, Info{Bucket: p.bucket, Key: e.key, Size: e.size, Class: e.class})
		if err != nil || !restore {
			return o, nil, err
		}
		return o, statusOf(f.glacier, *o), nil
	})
	if err != nil {
		return fmt.Errorf("reading a listing: %w", err)
	}
	setBody(resp, resp.StatusCode, body)
	return nil
}

// listed is an entry of a listing.
type listed struct {
	key, class string
	size       int64
	// Where the elements stand that are to be replaced, from and to, and the
	// end of the entry.
	cut [][2]int
	end int
}

// rewriteList replaces what a listing says of the class, the time and the thaw
// of each entry, and leaves every other byte as it is.
func rewriteList(body []byte, look func(listed) (*Info, *restoreStatus, error)) ([]byte, error) {
	entries, err := entriesOf(body)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(entries, func(e listed) bool { return e.key == "" }) {
		return nil, errors.New("an entry has no key")
	}
	escaped := bytes.Contains(body, []byte("<EncodingType>url</EncodingType>"))
	var out bytes.Buffer
	done := 0
	for _, e := range entries {
		if key, err := url.QueryUnescape(e.key); err == nil && escaped {
			e.key = key
		}
		o, status, err := look(e)
		if err != nil {
			return nil, err
		}
		for _, c := range e.cut {
			out.Write(body[done:c[0]])
			done = c[1]
		}
		out.Write(body[done:e.end])
		done = e.end
		fmt.Fprintf(&out, "<LastModified>%s</LastModified><StorageClass>%s</StorageClass>", o.Modified.UTC().Format(listTime), o.Class)
		if status != nil {
			b, err := xml.Marshal(struct {
				XMLName xml.Name `xml:"RestoreStatus"`
				*restoreStatus
			}{restoreStatus: status})
			if err != nil {
				return nil, err
			}
			out.Write(b)
		}
	}
	out.Write(body[done:])
	return out.Bytes(), nil
}

// entriesOf finds the entries of a listing.
func entriesOf(body []byte) (entries []listed, _ error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var path []string
	var text strings.Builder
	start := 0 // of the element that is an entry's
	for {
		at := int(d.InputOffset())
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if len(path) == 2 && t.Name.Local == "Contents" {
				entries = append(entries, listed{})
			}
			if len(path) == 3 {
				start = at
				text.Reset()
			}
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if len(path) >= 2 && path[1] == "Contents" {
				entries[len(entries)-1].ends(path, text.String(), start, at, int(d.InputOffset()))
			}
			path = path[:len(path)-1]
		}
	}
}

// ends takes in an element that ends: its text, where it begins, where its end
// tag begins and where that ends.
func (e *listed) ends(path []string, text string, start, tag, end int) {
	if len(path) == 2 {
		e.end = tag
	}
	if len(path) != 3 {
		return
	}
	switch path[2] {
	case "Key":
		e.key = text
	case "Size":
		n, _ := strconv.ParseInt(text, 10, 64) // 0 if it is none
		e.size = max(n, 0)
	case "StorageClass":
		e.class = text
	}
	switch path[2] {
	case "StorageClass", "LastModified", "RestoreStatus":
		e.cut = append(e.cut, [2]int{start, end})
	}
}
