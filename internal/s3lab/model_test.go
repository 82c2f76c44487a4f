package s3lab

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what the lab should be, in a map and in the words of S3's reference.
type model struct {
	now     time.Time
	objects map[string]*modelObject
}

type modelObject struct {
	class, content string
	tier           string
	days           int
	ready, expiry  time.Time // zero without a thaw
}

func (o *modelObject) cold() bool { return o.class == "GLACIER" || o.class == "DEEP_ARCHIVE" }

func (m *model) thawing(o *modelObject) bool { return m.now.Before(o.ready) }

func (m *model) thawed(o *modelObject) bool {
	return !o.expiry.IsZero() && !m.now.Before(o.ready) && m.now.Before(o.expiry)
}

func midnightAfter(t time.Time, days int) time.Time {
	t = t.Add(time.Duration(days) * 24 * time.Hour)
	for t.Hour() != 0 || t.Minute() != 0 || t.Second() != 0 || t.Nanosecond() != 0 {
		t = t.Add(time.Nanosecond).Truncate(time.Second)
		t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

// thaw returns the status of a RestoreObject.
func (m *model) thaw(key, tier string, days int) int {
	speed := map[string]int{"Bulk": 1, "Standard": 2, "Expedited": 3}
	o := m.objects[key]
	switch {
	case o == nil:
		return 404
	case !o.cold():
		return 403
	case m.thawed(o):
		o.days, o.expiry = days, midnightAfter(m.now, days)
		return 200
	case o.class == "DEEP_ARCHIVE" && tier == "Expedited":
		return 400
	case m.thawing(o) && speed[tier] <= speed[o.tier]:
		return 409
	}
	ready := m.now.Add(delayOf(Info{Bucket: "b", Key: key, Class: o.class}, tier))
	if m.thawing(o) {
		days = o.days
		if o.ready.Before(ready) {
			ready = o.ready
		}
	}
	o.tier, o.days, o.ready, o.expiry = tier, days, ready, midnightAfter(ready, days)
	return 202
}

// The lab, killed at times, is the same as the model after any operations.
func TestModel(t *testing.T) {
	for _, home := range []string{"disk", "upstream"} {
		t.Run(home, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				dir, err := os.MkdirTemp(t.TempDir(), "lab")
				if err != nil {
					rt.Fatal(err)
				}
				cfg := LabConfig{Dir: dir, Now: still}
				if home == "upstream" {
					cfg.Upstream = plain(t)
				}
				run := modelRun{rt: rt, cfg: cfg, model: model{now: start, objects: map[string]*modelObject{}}}
				run.open()
				defer func() { _ = run.lab.Close() }()
				rt.Repeat(map[string]func(*rapid.T){
					"put": run.put, "copy": run.copy, "delete": run.remove, "thaw": run.thaw, "advance": run.advance, "move": run.move, "kill": run.kill, "": run.check,
				})
			})
		})
	}
}

type modelRun struct {
	rt    *rapid.T
	cfg   LabConfig
	lab   *Lab
	model model
}

func (r *modelRun) open() {
	l, err := Open(r.cfg)
	if err != nil {
		r.rt.Fatal(err)
	}
	if l.server != nil {
		if err := l.CreateBucket(context.Background(), "b"); err != nil {
			r.rt.Fatal(err)
		}
	}
	r.lab = l
}

func (r *modelRun) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.lab.ServeHTTP(w, req)
	return w
}

func (r *modelRun) want(w *httptest.ResponseRecorder, status int) {
	if w.Code != status {
		r.rt.Fatalf("%d %s, want %d", w.Code, w.Body, status)
	}
}

func key(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c/d"}).Draw(t, "key") }

func (r *modelRun) put(t *rapid.T) {
	k, class := key(t), rapid.SampledFrom(classes).Draw(t, "class")
	content := rapid.StringMatching("[a-z]{0,9}").Draw(t, "content")
	var header []string
	status := 200
	if rapid.Bool().Draw(t, "create only") {
		header = []string{"If-None-Match", "*"}
		if r.model.objects[k] != nil {
			status = 412
		}
	}
	r.want(r.do("PUT", "/b/"+k, content, append(header, "x-amz-storage-class", class)...), status)
	if status == 200 {
		r.model.objects[k] = &modelObject{class: class, content: content}
	}
}

func (r *modelRun) copy(t *rapid.T) {
	from, to, class := key(t), key(t), rapid.SampledFrom(classes).Draw(t, "class")
	o := r.model.objects[from]
	status := 200
	switch {
	case o == nil:
		status = 404
	case o.cold() && !r.model.thawed(o):
		status = 403
	case from == to:
		return // what is refused depends on the class alone, of which a plain server knows nothing
	}
	r.want(r.do("PUT", "/b/"+to, "", "x-amz-copy-source", "b/"+from, "x-amz-storage-class", class), status)
	if status == 200 {
		r.model.objects[to] = &modelObject{class: class, content: o.content}
	}
}

func (r *modelRun) remove(t *rapid.T) {
	k := key(t)
	r.want(r.do("DELETE", "/b/"+k, ""), 204)
	delete(r.model.objects, k)
}

func (r *modelRun) thaw(t *rapid.T) {
	k, tier, days := key(t), rapid.SampledFrom(tiers).Draw(t, "tier"), rapid.IntRange(1, 5).Draw(t, "days")
	r.want(r.do("POST", "/b/"+k+"?restore", thawBody(tier, days)), r.model.thaw(k, tier, days))
}

func (r *modelRun) advance(t *rapid.T) {
	d := time.Duration(rapid.SampledFrom([]int{1, 60, 3600, 12 * 3600, 86400, 3 * 86400}).Draw(t, "seconds")) * time.Second
	if err := r.lab.Advance(d); err != nil {
		t.Fatal(err)
	}
	r.model.now = r.model.now.Add(d)
}

func (r *modelRun) move(t *rapid.T) {
	k, class := key(t), rapid.SampledFrom([]string{"GLACIER", "DEEP_ARCHIVE"}).Draw(t, "class")
	n := 0
	if o := r.model.objects[k]; o != nil && o.class != "DEEP_ARCHIVE" && o.class != class {
		*o, n = modelObject{class: class, content: o.content}, 1
	}
	if got, err := r.lab.Move("b", k, class); err != nil || got != n {
		t.Fatalf("moved %d, %v; want %d", got, err, n)
	}
}

// kill leaves the lab as it is and starts another on the same folder.
func (r *modelRun) kill(t *rapid.T) {
	before, err := r.lab.Bill()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.lab.ledger.keep.close()
	r.open()
	if after, err := r.lab.Bill(); err != nil || after.Total.Cmp(before.Total) != 0 {
		t.Fatalf("the bill was %s and is %v, %v", before.Total, after, err)
	}
}

func (r *modelRun) check(t *rapid.T) {
	list := r.do("GET", "/b?list-type=2", "").Body.String()
	if n := strings.Count(list, "<Key>"); n != len(r.model.objects) {
		t.Fatalf("%d objects, want %d: %s", n, len(r.model.objects), list)
	}
	for k, o := range r.model.objects {
		head, get := r.do("HEAD", "/b/"+k, ""), r.do("GET", "/b/"+k, "")
		restore, status := "", 200
		switch {
		case r.model.thawing(o):
			restore = `ongoing-request="true"`
		case r.model.thawed(o):
			restore = fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, o.expiry.Format(http.TimeFormat))
		}
		if o.cold() && !r.model.thawed(o) {
			status = 403
		}
		class := strings.TrimSuffix(o.class, "STANDARD")
		if head.Code != 200 || head.Header().Get("x-amz-restore") != restore || head.Header().Get("x-amz-storage-class") != class {
			t.Fatalf("%s: %d %v, want %s %s", k, head.Code, head.Header(), class, restore)
		}
		if get.Code != status || status == 200 && get.Body.String() != o.content {
			t.Fatalf("%s: %d %s, want %d %s", k, get.Code, get.Body, status, o.content)
		}
	}
}
