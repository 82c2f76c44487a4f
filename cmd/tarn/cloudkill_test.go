package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// executioner stands before a server and kills the program at one of its requests:
// before the server has seen it, or after it has done it and before the answer.
type executioner struct {
	next *httputil.ReverseProxy

	mu     sync.Mutex
	asked  []string // the actions, in order
	at     int      // the request, from 1; 0 for none
	after  bool
	victim *os.Process
}

// action is what a request of an AWS service is called.
func action(r *http.Request) string {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	if form, err := url.ParseQuery(string(b)); err == nil && form.Get("Action") != "" {
		return form.Get("Action")
	}
	return r.Method
}

func (e *executioner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := action(r)
	e.mu.Lock()
	e.asked = append(e.asked, name)
	now, after, victim := len(e.asked) == e.at, e.after, e.victim
	e.mu.Unlock()
	if !now {
		e.next.ServeHTTP(w, r)
		return
	}
	if after {
		e.next.ServeHTTP(httptest.NewRecorder(), r)
	}
	_ = victim.Kill() // one that has ended already fails the test by its exit code
	panic(http.ErrAbortHandler)
}

// set says at which request to kill whom.
func (e *executioner) set(at int, after bool, victim *os.Process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked, e.at, e.after, e.victim = nil, at, after, victim
}

// changes are actions that change something.
var changes = []string{
	"CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "DeleteStack", "CreatePolicy", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "PUT",
}

// point is a moment to kill the program at.
type point struct {
	at    int
	after bool
	name  string
}

// points are the moments of a run at which something has changed: after the
// server has done it, and before the next request.
func points(asked []string) (list []point) {
	puts := 0
	for i, name := range asked {
		if name == "PUT" {
			if puts++; puts > 2 {
				continue // to make a repository has its own tests
			}
		}
		if !slices.Contains(changes, name) {
			continue
		}
		list = append(list, point{i + 1, true, fmt.Sprintf("%d-after-%s", i+1, name)})
		if i+1 < len(asked) {
			list = append(list, point{i + 2, false, fmt.Sprintf("%d-after-the-answer-to-%s", i+1, name)})
		}
	}
	return list
}

// killed runs the program, which does not survive it.
func (p *person) killed(e *executioner, at point, args ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "tarn", args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	e.mu.Lock()
	if err := cmd.Start(); err != nil {
		e.mu.Unlock()
		p.t.Fatal(err)
	}
	e.asked, e.at, e.after, e.victim = nil, at.at, at.after, cmd.Process
	e.mu.Unlock()
	err := cmd.Wait()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		p.t.Fatalf("it was to be killed, and ended with %v\n%s", err, out.String())
	}
	e.set(0, false, nil)
}

// keysOf are the machine's access keys as status has them, and how many there are
// that are not this machine's or not in force.
func (h *heard) keysOf(stack string) (mine, others int) {
	h.t.Helper()
	var status struct {
		Machines []struct{ Keys []struct{ Active, Mine bool } }
	}
	if err := json.Unmarshal([]byte(h.mustDo("cloud", "status", "--json", "--stack", stack)), &status); err != nil {
		h.t.Fatal(err)
	}
	for _, m := range status.Machines {
		for _, k := range m.Keys {
			if k.Active && k.Mine {
				mine++
			} else {
				others++
			}
		}
	}
	return mine, others
}

// TestCloudKilled: deploy, rotate and destroy are killed at each moment at which
// something has changed, and the next run makes good what that has left: one key,
// which works, and nothing that nobody knows of.
func TestCloudKilled(t *testing.T) {
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	e := &executioner{next: httputil.NewSingleHostReverseProxy(server)}
	proxy := httptest.NewServer(e)
	t.Cleanup(proxy.Close)
	n, all := 0, storagetest.All(t)
	begin := func(t *testing.T) (h *heard, stack string) {
		n++
		return &heard{person: deployer(t, proxy.URL)}, fmt.Sprintf("s%d", n)
	}
	deploy := func(stack string) []string {
		return []string{"cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--stack", stack}
	}
	rotate := func(stack string) []string { return []string{"cloud", "rotate", "--yes", "--stack", stack} }
	destroy := func(stack string) []string { return []string{"cloud", "destroy", "--yes", "--stack", stack} }
	whole := func(t *testing.T, h *heard, stack string) {
		t.Helper()
		if mine, others := h.keysOf(stack); mine != 1 || others != 0 {
			t.Errorf("%d keys of this machine, %d others", mine, others)
		}
		if b, err := os.ReadFile(h.path("home", "config", "tarn", "config.json")); err != nil || strings.Contains(string(b), "new_keys") {
			t.Errorf("a key is being made yet: %s, %v", b, err)
		}
		deploys := h.env
		h.env = append(deploys[:len(deploys):len(deploys)], "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_REGION=", "AWS_ENDPOINT_URL=")
		h.mustDo("snapshots")
		h.env = deploys
	}
	gone := func(t *testing.T, h *heard, stack string) {
		t.Helper()
		if code, _, errs := h.run("cloud", "status", "--stack", stack); code != exitFailed || !strings.Contains(errs, "no such stack") {
			t.Errorf("the stack is there: %s", errs)
		}
		if text, secrets := h.credentials(); len(secrets) > 0 {
			t.Errorf("a profile stays: %s", text)
		}
		if code, _, errs := h.run("backup", "home"); code != exitFailed || !strings.Contains(errs, "was removed") {
			t.Errorf("backup: %d %s", code, errs)
		}
	}
	for _, test := range []struct {
		name    string
		prepare bool // by a deployment
		args    func(stack string) []string
		check   func(*testing.T, *heard, string)
		least   int
	}{{"deploy", false, deploy, whole, 8}, {"rotate", true, rotate, whole, 5}, {"destroy", true, destroy, gone, 4}} {
		h, stack := begin(t)
		if test.prepare {
			h.mustDo(deploy(stack)...)
		}
		e.set(0, false, nil)
		h.mustDo(test.args(stack)...)
		list := points(e.asked)
		if len(list) < test.least {
			t.Errorf("%s: only %d moments, in %v", test.name, len(list), e.asked)
		}
		for i, at := range list {
			if !all && i%6 != 2 {
				continue
			}
			t.Run(test.name+"-"+at.name, func(t *testing.T) {
				h, stack := begin(t)
				if test.prepare {
					h.mustDo(deploy(stack)...)
				}
				h.killed(e, at, test.args(stack)...)
				h.mustDo(test.args(stack)...)
				test.check(t, h, stack)
			})
		}
	}
}

// TestCloudPlannedStack: a stack that is but a plan, of a run that was killed say,
// is told by status, goes by destroy, and does not stand in the way of deploy.
func TestCloudPlannedStack(t *testing.T) {
	p := newPlanner(t)
	p.write("t.yaml", "Resources: {A: {Type: 'AWS::SNS::Topic'}}")
	plan := func(more ...string) {
		p.cli(append([]string{"cloudformation", "create-change-set", "--stack-name", "tarn", "--change-set-name", "left", "--change-set-type", "CREATE", "--template-body", "file://t.yaml"}, more...)...)
	}
	plan("--description", "made by tarn")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"cloud", "status"}, exitDone, "it has a plan, and nothing else"},
		{[]string{"cloud", "destroy"}, exitFailed, "dd --yes"},
		{[]string{"cloud", "destroy", "--yes"}, exitDone, "The stack tarn is removed"},
		{[]string{"cloud", "status"}, exitFailed, "no such stack"},
	} {
		if code, said := p.typed("", test.args...); code != test.code || !strings.Contains(said, test.want) {
			t.Errorf("%v: exit code %d\n%s", test.args, code, said)
		}
	}
	plan("--description", "made by tarn")
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack"); code != exitDone || !strings.Contains(said, "was planned and never made") {
		t.Errorf("deploy: exit code %d\n%s", code, said)
	}
}

// TestCloudOthersPlan: a planned stack with a change set that is not tarn's stays, with
// that, whatever is agreed to.
func TestCloudOthersPlan(t *testing.T) {
	p := newPlanner(t)
	p.write("t.yaml", "Resources: {A: {Type: 'AWS::SNS::Topic'}}")
	p.cli("cloudformation", "create-change-set", "--stack-name", "tarn", "--change-set-name", "boss", "--change-set-type", "CREATE", "--template-body", "file://t.yaml")
	for _, args := range [][]string{{"deploy", "--yes", "--only-stack"}, {"destroy", "--yes"}} {
		code, said := p.typed("", append([]string{"cloud"}, args...)...)
		if code != exitFailed || !strings.Contains(said, "tarn has not made its change set boss") || !strings.Contains(said, "--stack") {
			t.Errorf("%v: exit code %d\n%s", args, code, said)
		}
	}
	if _, said := p.typed("", "cloud", "status"); !strings.Contains(said, "it has a plan, and nothing else") || !strings.Contains(p.cli("cloudformation", "list-change-sets", "--stack-name", "tarn"), "boss") {
		t.Errorf("it is gone: %s", said)
	}
}
