package s3lab

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// billOf returns what each line of the bill comes to, and its sum, as text.
func billOf(t *testing.T, events iter.Seq2[Event, error], to time.Time) map[string]string {
	t.Helper()
	b, err := MakeBill(events, to)
	if err != nil {
		t.Fatal(err)
	}
	lines, sum := map[string]string{}, new(big.Rat)
	for _, l := range b.Lines {
		lines[strings.TrimSpace(fmt.Sprintf("%s %s %s", l.Item, l.Class, l.Tier))] = l.Amount.RatString()
		sum.Add(sum, l.Amount)
	}
	if sum.Cmp(b.Total) != 0 {
		t.Errorf("the lines add up to %s, the total is %s", sum, b.Total)
	}
	var again Bill
	if doc, err := json.Marshal(b); err != nil || json.Unmarshal(doc, &again) != nil || again.Total.Cmp(b.Total) != 0 || len(again.Lines) != len(b.Lines) {
		t.Errorf("as JSON: %s, %v", doc, err)
	}
	return lines
}

func sequence(events []Event) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// exact is a product of numbers as text, to say by hand what a line comes to.
func exact(factors ...string) string {
	r := big.NewRat(1, 1)
	for _, f := range factors {
		n, ok := new(big.Rat).SetString(f)
		if !ok {
			panic("no number: " + f)
		}
		r.Mul(r, n)
	}
	return r.RatString()
}

func compare(t *testing.T, name string, got, want map[string]string) {
	t.Helper()
	for line, amount := range want {
		if got[line] != amount {
			t.Errorf("%s: %s: %s, want %s", name, line, got[line], amount)
		}
	}
	for line, amount := range got {
		if want[line] == "" {
			t.Errorf("%s: %s: %s, want nothing", name, line, amount)
		}
	}
}

// What requests cost, as AWS's price page has it: each by the class that the
// rules about multipart uploads and listings give it.
func TestRequestPrices(t *testing.T) {
	request := func(op, class string, status int) Event {
		return Event{Kind: eventRequest, Op: op, Class: class, Status: status}
	}
	with := func(e Event, change func(e *Event)) Event { change(&e); return e }
	tier := func(name string, size int64) func(*Event) { return func(e *Event) { e.Tier, e.Size = name, size } }
	tests := []struct {
		event Event
		want  string
	}{
		{request("PutObject", "STANDARD", 200), "0.000005"},
		{request("PutObject", "STANDARD_IA", 200), "0.00001"},
		{request("PutObject", "GLACIER_IR", 200), "0.00002"},
		{request("PutObject", "GLACIER", 200), "0.00003"},
		{request("PutObject", "DEEP_ARCHIVE", 200), "0.00005"},
		{request("PutObject", "GLACIER", 412), "0.00003"},
		{request("PutObject", "GLACIER", 503), "0"},
		{request("PutObject", "GLACIER", 0), "0"},
		{with(request("PutObject", "GLACIER", 403), func(e *Event) { e.Code = "AccessDenied" }), "0"},
		{request("CreateMultipartUpload", "DEEP_ARCHIVE", 200), "0.000005"},
		{request("UploadPart", "STANDARD", 200), "0.000005"}, {request("UploadPart", "GLACIER_IR", 200), "0.00002"},
		{request("CreateMultipartUpload", "STANDARD_IA", 200), "0.00001"},
		{request("CompleteMultipartUpload", "DEEP_ARCHIVE", 200), "0.00005"},
		{request("AbortMultipartUpload", "STANDARD", 204), "0"},
		{request("DeleteObject", "STANDARD", 204), "0"},
		{request("DeleteObjects", "STANDARD", 200), "0"},
		{request("ListObjectsV2", "STANDARD", 200), "0.000005"},
		{request("HeadObject", "GLACIER", 200), "0.0000004"},
		{request("HeadBucket", "STANDARD", 404), "0.0000004"},
		{with(request("GetObject", "GLACIER", 403), func(e *Event) { e.Code = "InvalidObjectState" }), "0.0000004"},
		{with(request("GetObject", "STANDARD_IA", 206), func(e *Event) { e.Out = 1 << 29 }), "0.005001"},
		{with(request("GetObject", "GLACIER_IR", 200), func(e *Event) { e.Out = 1 << 30 }), "0.03001"},
		{with(request("CopyObject", "DEEP_ARCHIVE", 200), func(e *Event) { e.Source, e.Size = "GLACIER_IR", 1<<30 }), "0.03005"},
		{with(request("CopyObject", "STANDARD", 200), func(e *Event) { e.Source, e.Size = "GLACIER", 1<<30 }), "0.000005"},
		{with(request("RestoreObject", "GLACIER", 202), tier("Expedited", 1<<30)), "0.04"},
		{with(request("RestoreObject", "GLACIER", 202), tier("Standard", 1<<30)), "0.01005"},
		{with(request("RestoreObject", "GLACIER", 202), tier("Bulk", 1<<30)), "0"},
		{with(request("RestoreObject", "DEEP_ARCHIVE", 202), tier("Standard", 1<<30)), "0.0201"},
		{with(request("RestoreObject", "DEEP_ARCHIVE", 202), tier("Bulk", 1<<30)), "0.002525"},
		{with(request("RestoreObject", "DEEP_ARCHIVE", 200), tier("Bulk", 1<<30)), "0.000025"},
		{with(request("RestoreObject", "DEEP_ARCHIVE", 409), tier("Bulk", 1<<30)), "0.000025"},
		{with(request("RestoreObject", "GLACIER", 503), tier("Expedited", 1<<30)), "0"},
		{request("RestoreObject", "STANDARD", 404), "0.000005"},
	}
	for _, test := range tests {
		if got := test.event.Price(); got.RatString() != exact(test.want) {
			t.Errorf("%+v: %s, want %s", test.event, got.FloatString(9), test.want)
		}
	}
}

// What is stored costs by its time, its class's least size and days, and, if
// it is cold, its overhead.
func TestStoragePrices(t *testing.T) {
	const days = 24 * time.Hour
	at := func(d time.Duration, e Event) Event { e.Time, e.Bucket, e.Key = start.Add(d), "b", "k"; return e }
	created := func(d time.Duration, class string, size int64) Event {
		return at(d, Event{Kind: eventCreated, Class: class, Size: size})
	}
	thaw := func(d, ready, expiry time.Duration) Event {
		return at(d, Event{Kind: eventThaw, Ready: start.Add(ready), Expiry: start.Add(expiry)})
	}
	removed := func(d time.Duration) Event { return at(d, Event{Kind: eventRemoved}) }
	overheads := func(months string, rate string) (string, string) {
		return exact("32768/1073741824", months, rate), exact("8192/1073741824", months, ".023")
	}
	o1, s1 := overheads("1", ".0036")
	o90, s90 := overheads("240/730", ".00099")
	o0, s0 := overheads("48/730", ".00099")
	tests := map[string]struct {
		events []Event
		after  time.Duration
		want   map[string]string
	}{
		"STANDARD for a month": {[]Event{created(0, "STANDARD", 10<<30)}, month, map[string]string{"storage STANDARD": exact("10", ".023")}},
		"GLACIER for a month": {[]Event{created(0, "GLACIER", 10<<30)}, month,
			map[string]string{"storage GLACIER": exact("10", ".0036"), "overhead of cold objects GLACIER": o1, "overhead of cold objects STANDARD": s1}},
		"a small one in IA": {[]Event{created(0, "STANDARD_IA", 1)}, month, map[string]string{"storage STANDARD_IA": exact("1/8192", ".0125")}},
		"IA, deleted after 10 days": {[]Event{created(0, "STANDARD_IA", 1<<30), removed(10 * days)}, 300 * days,
			map[string]string{"storage STANDARD_IA": exact("240/730", ".0125"), "minimum days not kept STANDARD_IA": exact("480/730", ".0125")}},
		"IR, deleted after 90 days": {[]Event{created(0, "GLACIER_IR", 1<<30), removed(90 * days)}, 300 * days,
			map[string]string{"storage GLACIER_IR": exact("2160/730", ".004")}},
		"DEEP_ARCHIVE, overwritten by STANDARD after 10 days": {[]Event{created(0, "DEEP_ARCHIVE", 1<<30), created(10*days, "STANDARD", 1<<30)}, 40 * days,
			map[string]string{
				"storage DEEP_ARCHIVE": exact("240/730", ".00099"), "overhead of cold objects DEEP_ARCHIVE": o90, "overhead of cold objects STANDARD": s90,
				"minimum days not kept DEEP_ARCHIVE": exact("32769/32768", "4080/730", ".00099"), "storage STANDARD": exact("720/730", ".023"),
			}},
		"moved to a cold class": {[]Event{created(0, "STANDARD", 1<<30), at(month, Event{Kind: eventMoved, Class: "DEEP_ARCHIVE"})}, month + 2*days,
			map[string]string{
				"storage STANDARD": exact(".023"), "lifecycle transitions DEEP_ARCHIVE": exact(".00005"), "storage DEEP_ARCHIVE": exact("48/730", ".00099"),
				"overhead of cold objects DEEP_ARCHIVE": o0, "overhead of cold objects STANDARD": s0,
			}},
		"a copy for three days": {[]Event{created(0, "STANDARD", 1<<30), thaw(days, 2*days, 5*days)}, month,
			map[string]string{"storage STANDARD": exact(".023"), "temporary copies STANDARD": exact("72/730", ".023")}},
		"a copy for longer": {[]Event{created(0, "STANDARD", 1<<30), thaw(days, 2*days, 5*days), thaw(3*days, 2*days, 10*days)}, month,
			map[string]string{"storage STANDARD": exact(".023"), "temporary copies STANDARD": exact("192/730", ".023")}},
		"a copy sooner": {[]Event{created(0, "STANDARD", 1<<30), thaw(days, 4*days, 5*days), thaw(2*days, 3*days, 5*days)}, month,
			map[string]string{"storage STANDARD": exact(".023"), "temporary copies STANDARD": exact("48/730", ".023")}},
		"two copies": {[]Event{created(0, "STANDARD", 1<<30), thaw(days, 2*days, 5*days), thaw(5*days, 6*days, 7*days)}, month,
			map[string]string{"storage STANDARD": exact(".023"), "temporary copies STANDARD": exact("96/730", ".023")}},
		"a copy that goes with its object": {[]Event{created(0, "STANDARD", 1<<30), thaw(days, 2*days, 5*days), removed(3 * days)}, month,
			map[string]string{"storage STANDARD": exact("72/730", ".023"), "temporary copies STANDARD": exact("24/730", ".023")}},
		"a copy that is not ready": {[]Event{created(0, "STANDARD", 1<<30), thaw(days, 2*days, 5*days)}, days,
			map[string]string{"storage STANDARD": exact("24/730", ".023")}},
		"parts": {[]Event{
			at(0, Event{Kind: eventUpload, Upload: "u"}), at(0, Event{Kind: eventPart, Upload: "u", Part: 1, Size: 1 << 30}),
			at(days, Event{Kind: eventPart, Upload: "u", Part: 1, Size: 2 << 30}), at(3*days, Event{Kind: eventAborted, Upload: "u"}),
		}, month, map[string]string{"parts of unfinished uploads STANDARD": exact("120/730", ".023")}},
		"parts of a cold class, and of one that is not": {[]Event{
			at(0, Event{Kind: eventUpload, Upload: "u", Class: "GLACIER"}), at(0, Event{Kind: eventPart, Upload: "u", Part: 1, Size: 1 << 30}),
			at(0, Event{Kind: eventUpload, Upload: "v", Class: "STANDARD_IA"}), at(0, Event{Kind: eventPart, Upload: "v", Part: 1, Size: 1 << 30}),
		}, month, map[string]string{"parts of unfinished uploads STANDARD": exact(".023"), "parts of unfinished uploads STANDARD_IA": exact(".0125")}},
		"monitoring": {[]Event{created(0, "INTELLIGENT_TIERING", 1<<30)}, month,
			map[string]string{"storage INTELLIGENT_TIERING": exact("720/730", ".023"), "storage INTELLIGENT_TIERING Infrequent": exact("10/730", ".0125"), "monitoring INTELLIGENT_TIERING": exact(".0000025")}},
		"steps": {[]Event{ // 100 days unread, read, then 40 days
			created(0, "INTELLIGENT_TIERING", 1<<30), at(100*days, Event{Kind: eventRequest, Op: "GetObject", Class: "INTELLIGENT_TIERING", Status: 200}),
			at(120*days, Event{Kind: eventRequest, Op: "HeadObject", Class: "INTELLIGENT_TIERING", Status: 200}), at(140*days, Event{Kind: eventRemoved}),
		}, 140 * days, map[string]string{
			"GET requests INTELLIGENT_TIERING": exact("2", ".0000004"),
			"storage INTELLIGENT_TIERING":      exact("1440/730", ".023"), "storage INTELLIGENT_TIERING Infrequent": exact("1680/730", ".0125"),
			"storage INTELLIGENT_TIERING Archive Instant": exact("240/730", ".004"), "monitoring INTELLIGENT_TIERING": exact("3360/730", ".0000025"),
		}},
		"a small one keeps its step": {[]Event{created(0, "INTELLIGENT_TIERING", 1<<16)}, 2 * month, map[string]string{"storage INTELLIGENT_TIERING": exact("2/16384", ".023")}},
		"transfer": {[]Event{ // 100 GiB of each month are free: of October, and of November
			at(0, Event{Kind: eventRequest, Op: "GetObject", Class: "STANDARD", Status: 200, Out: 60 << 30}),
			at(days, Event{Kind: eventRequest, Op: "GetObject", Class: "STANDARD", Status: 200, Out: 60 << 30}),
			at(20*days, Event{Kind: eventRequest, Op: "GetObject", Class: "STANDARD", Status: 200, Out: 60 << 30}),
		}, month, map[string]string{"transfer out": exact("20", ".09"), "GET requests STANDARD": exact("3", ".0000004")}},
	}
	for name, test := range tests {
		for line, amount := range test.want {
			test.want[line] = exact(amount)
		}
		compare(t, name, billOf(t, sequence(test.events), start.Add(test.after)), test.want)
	}
}

// The bill of a whole life through each home, worked out by hand.
func TestBill(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		c.put("a", strings.Repeat("x", 1<<20), "GLACIER")
		c.upload("b", "DEEP_ARCHIVE", "12345", "67")
		c.thaw(202, "", "a", "Expedited", 1)
		advance(t, l, "5m")
		c.want(206, "", "GET", "/b/a", "", "Range", "bytes=0-99")
		c.want(200, "", "GET", "/b?list-type=2&prefix=none", "")
		advance(t, l, "10d")
		c.want(204, "", "DELETE", "/b/b", "")
		tenDays := new(big.Rat).SetFrac64(int64(10*day+5*time.Minute), int64(month)).RatString()
		early := new(big.Rat).SetFrac64(int64(170*day-5*time.Minute), int64(month)).RatString()
		ready := delayOf(Info{Bucket: "b", Key: "a", Class: "GLACIER"}, "Expedited")
		copied := new(big.Rat).SetFrac64(int64(time.Date(2026, 10, 17, 0, 0, 0, 0, time.UTC).Sub(start)-ready), int64(month)).RatString()
		compare(t, "a life", billOf(t, l.Events(), l.Now()), map[string]string{
			"PUT requests GLACIER":                  exact(".00003"),
			"PUT requests DEEP_ARCHIVE":             exact(".00005"),
			"PUT requests STANDARD":                 exact("3", ".000005"), // begun, and two parts
			"LIST requests STANDARD":                exact(".000005"),
			"GET requests GLACIER":                  exact(".0000004"),
			"thaw requests GLACIER Expedited":       exact(".01"),
			"retrieval GLACIER Expedited":           exact("1/1024", ".03"),
			"temporary copies STANDARD":             exact("1/1024", copied, ".023"),
			"storage GLACIER":                       exact("1/1024", tenDays, ".0036"),
			"storage DEEP_ARCHIVE":                  exact("7/1073741824", tenDays, ".00099"),
			"overhead of cold objects GLACIER":      exact("1/32768", tenDays, ".0036"),
			"overhead of cold objects DEEP_ARCHIVE": exact("1/32768", tenDays, ".00099"),
			"overhead of cold objects STANDARD":     exact("2/131072", tenDays, ".023"),
			"minimum days not kept DEEP_ARCHIVE":    exact("32775/1073741824", early, ".00099"),
		})
	})
}

// Every request is in the log with what it moved and the class that it bills at.
func TestRequestsAreLogged(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		c.put("k", "content", "GLACIER")
		c.upload("m", "DEEP_ARCHIVE", "12345")
		c.want(403, "InvalidObjectState", "GET", "/b/k", "")
		c.thaw(202, "", "k", "Expedited", 1)
		advance(t, l, "5m")
		c.want(206, "", "GET", "/b/k", "", "Range", "bytes=1-3")
		c.want(200, "", "HEAD", "/b/m", "")
		var got []string
		for e, err := range l.Events() {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind != eventRequest {
				continue
			}
			if e.Status >= 300 || e.Op == "CreateMultipartUpload" || e.Op == "CompleteMultipartUpload" {
				e.In, e.Out = 0, 0 // the length of a document
			}
			got = append(got, fmt.Sprintf("%s %s %s %d %s %d %d %s", e.Op, e.Key, e.Class, e.Status, e.Code, e.In, e.Out, e.Tier))
		}
		want := []string{
			"PutObject k GLACIER 200  7 0 ", "CreateMultipartUpload m DEEP_ARCHIVE 200  0 0 ", "UploadPart m STANDARD 200  5 0 ",
			"CompleteMultipartUpload m DEEP_ARCHIVE 200  0 0 ", "GetObject k GLACIER 403 InvalidObjectState 0 0 ",
			fmt.Sprintf("RestoreObject k GLACIER 202  %d 0 Expedited", len(thawBody("Expedited", 1))),
			"GetObject k GLACIER 206  0 3 ", "HeadObject m DEEP_ARCHIVE 200  0 0 ",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
