package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// answering is a server of AWS's services, but for what answer answers itself; it
// returns false for what is left to the server.
func answering(t *testing.T, answer func(action string, w http.ResponseWriter) bool) string {
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(server)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(action(r), w) {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

func answerError(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
}

// TestCloudDestroyRefused: where AWS does not take the deletion, all machines go on, this
// one's settings are as before, and what to do is said.
func TestCloudDestroyRefused(t *testing.T) {
	var code, message atomic.Value
	code.Store("")
	url := answering(t, func(action string, w http.ResponseWriter) bool {
		if action != "DeleteStack" || code.Load() == "" {
			return false
		}
		answerError(w, code.Load().(string), message.Load().(string))
		return true
	})
	h := &heard{person: deployer(t, url)}
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--users", "2", "--machine", "2")
	h.mustDo("cloud", "deploy", "--yes", "--machine", "1")
	settings := h.path("home", "config", "tarn", "config.json")
	before, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	profiles, _ := h.credentials()
	for _, test := range []struct{ code, message, want string }{
		{"ValidationError", "Stack [tarn] cannot be deleted while TerminationProtection is enabled", "update-termination-protection"},
		{"AccessDenied", "User: arn:aws:iam::1:user/me is not authorized to perform: cloudformation:DeleteStack on resource: x", "can allow cloudformation:DeleteStack"},
		{"ValidationError", "Something else", "Mend what AWS names"},
	} {
		code.Store(test.code)
		message.Store(test.message)
		status, _, errs := h.run("cloud", "destroy", "--yes")
		for _, want := range []string{"nothing was removed, and the machines of the stack tarn go on", test.want} {
			if status != exitFailed || !strings.Contains(errs, want) {
				t.Errorf("%s: exit code %d, want %q in\n%s", test.message, status, want, errs)
			}
		}
		if mine, others := h.keysOf("tarn"); mine != 2 || others != 0 {
			t.Errorf("%s: %d keys of this machine, %d others", test.message, mine, others)
		}
		if after, _ := h.credentials(); after != profiles {
			t.Errorf("%s: the profiles are\n%s", test.message, after)
		}
		if after, err := os.ReadFile(settings); err != nil || string(after) != string(before) {
			t.Errorf("%s: %v\n%s", test.message, err, after)
		}
	}
	h.mustDo("snapshots")
	code.Store("")
	h.mustDo("cloud", "destroy", "--yes")
	if text, secrets := h.credentials(); len(secrets) > 0 {
		t.Errorf("a profile stays:\n%s", text)
	}
}

// TestCloudDestroyProtected: a stack with termination protection is refused before
// anything is asked or done.
func TestCloudDestroyProtected(t *testing.T) {
	protected, asked := false, atomic.Int32{}
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(server)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := action(r)
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		text := rec.Body.String()
		if protected && name == "DescribeStacks" {
			text = regexp.MustCompile(`(?s)<EnableTerminationProtection>.*?</EnableTerminationProtection>`).ReplaceAllString(text, "")
			text = strings.ReplaceAll(text, "<StackStatus>", "<EnableTerminationProtection>true</EnableTerminationProtection><StackStatus>")
		}
		if name == "DeleteStack" || name == "DeleteAccessKey" {
			asked.Add(1)
		}
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		_, _ = w.Write([]byte(text)) // a client that is gone needs no answer
	}))
	t.Cleanup(proxy.Close)
	p := newPlanner(t)
	p.env = append(p.env, "AWS_ENDPOINT_URL="+proxy.URL)
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--storage-class", "STANDARD"); code != exitDone {
		t.Fatal(said)
	}
	protected = true
	code, said := p.typed("y\n", "cloud", "destroy")
	if code != exitFailed || !strings.Contains(said, "termination protection is on: nothing was removed") || !strings.Contains(said, "--no-enable-termination-protection") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if strings.Contains(said, "Remove the stack") || asked.Load() > 0 {
		t.Errorf("it has asked, or done something: %s", said)
	}
}

// TestCloudDestroyHeldByKeys: if CloudFormation comes to a user while it has a key yet,
// it is told again once the key is removed.
func TestCloudDestroyHeldByKeys(t *testing.T) {
	var deletes atomic.Int32
	url := answering(t, func(action string, w http.ResponseWriter) bool {
		switch {
		case action == "DeleteStack" && deletes.Add(1) == 1:
			fmt.Fprint(w, "<DeleteStackResponse/>")
		case action == "DescribeStackEvents" && deletes.Load() == 1:
			event := func(id, logical, kind, reason string) string {
				return "<member><EventId>" + id + "</EventId><StackName>tarn</StackName><LogicalResourceId>" + logical + "</LogicalResourceId><ResourceType>" + kind +
					"</ResourceType><Timestamp>2026-01-02T03:04:05Z</Timestamp><ResourceStatus>DELETE_FAILED</ResourceStatus><ResourceStatusReason>" + reason + "</ResourceStatusReason></member>"
			}
			fmt.Fprint(w, "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents>"+event("2", "tarn", "AWS::CloudFormation::Stack", "The following resource(s) failed to delete: [Machine1].")+
				event("1", "Machine1", "AWS::IAM::User", "Cannot delete entity, must delete access keys first. (Service: Iam, Status Code: 409)")+"</StackEvents></DescribeStackEventsResult></DescribeStackEventsResponse>")
		default:
			return false
		}
		return true
	})
	h := &heard{person: deployer(t, url)}
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD")
	out := h.mustDo("cloud", "destroy", "--yes")
	if !strings.Contains(h.text.String(), "it tries again") || deletes.Load() != 2 {
		t.Errorf("told %d times\n%s", deletes.Load(), out)
	}
	if code, _, errs := h.run("cloud", "status"); code != exitFailed || !strings.Contains(errs, "no such stack") {
		t.Errorf("status: %d %s", code, errs)
	}
}
