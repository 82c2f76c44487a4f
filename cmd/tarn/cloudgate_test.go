package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/cloud/guard"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// gate stands before a server of AWS's services and lets in what policies allow:
// those of the deployer, of the machines' users with their boundary, and of the
// execution role, whose requests CloudFormation would send. The server sends none and
// asks nobody, so the gate works out from the template which they are (execution_test.go), and
// if one is refused, lets the stack end as CloudFormation does: rolled back, with
// the reason among its events.
type gate struct {
	t     *testing.T
	next  *httputil.ReverseProxy
	place func(stack string) cloud.Place

	mu        sync.Mutex
	stack     string // that is worked with
	deployer  []cloud.Statement
	execution []cloud.Statement
	used      map[string]bool   // actions of the deployer
	executed  map[string]bool   // actions of the execution role
	templates map[string]string // by change set
	deployed  map[string]string // by stack
	users     map[string]string // by access key
	failed    map[string]string // the events of stacks that could not be changed
}

// placeOf is where a stack is, with one execution role for all stacks.
func placeOf(stack string) cloud.Place {
	p := cloud.NewPlace("us-east-1", leastAccount, stack)
	p.Qualifier = "x"
	return p
}

func newGate(t *testing.T) (*gate, string) {
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{
		t: t, next: httputil.NewSingleHostReverseProxy(server), templates: map[string]string{}, deployed: map[string]string{}, users: map[string]string{}, failed: map[string]string{},
		place: placeOf,
	}
	proxy := httptest.NewServer(g)
	t.Cleanup(proxy.Close)
	return g, proxy.URL
}

// set has a stack deployed with the policies of least privilege, but for an action.
func (g *gate) set(stack, withoutDeployer, withoutExecution string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stack, g.used, g.executed = stack, map[string]bool{}, map[string]bool{}
	g.deployer = withoutAction(statementsOf(g.t, g.place(stack), cloud.Deployer), withoutDeployer)
	g.execution = withoutAction(statementsOf(g.t, g.place(stack), cloud.Execution), withoutExecution)
	delete(g.failed, stack)
}

var credential = regexp.MustCompile(`Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/`)

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		g.t.Errorf("%s %s has no signature", r.Method, r.URL)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if m[2] == "s3" {
		g.object(w, r, m[1])
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") == "" {
		g.t.Errorf("%s %s: no action is known for it", m[2], body)
	}
	g.query(w, r, m[2], form)
}

// object is a request of S3.
func (g *gate) object(w http.ResponseWriter, r *http.Request, key string) {
	i := &iam{t: g.t, tls: true, next: g.next, used: map[string]bool{}, bucket: leastBucketOf(g.t, r)}
	g.mu.Lock()
	place := g.place(g.stack)
	i.identity = g.deployer
	if key != "AKIADEPLOYER" {
		i.identity, i.boundary = statementsOf(g.t, place, cloud.Machine), statementsOf(g.t, place, cloud.Boundary)
	} else {
		g.used[i.access(r).action] = true
	}
	g.mu.Unlock()
	i.ServeHTTP(w, r)
}

// leastBucketOf is the policy that the template gives a bucket.
func leastBucketOf(t *testing.T, r *http.Request) []cloud.Statement {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	list := bucketStatements(t)
	for i := range list {
		list[i].Resource = slices.Clone(list[i].Resource)
		for j, resource := range list[i].Resource {
			list[i].Resource[j] = strings.Replace(resource, leastBucket, "arn:aws:s3:::"+bucket, 1)
		}
	}
	return list
}

// query is a request of a service that takes forms.
func (g *gate) query(w http.ResponseWriter, r *http.Request, service string, form url.Values) {
	name := form.Get("Action")
	if service == "sts" && name == "GetCallerIdentity" { // which takes no permission
		g.next.ServeHTTP(w, r)
		return
	}
	list := []access{{service + ":" + name, g.resource(service, form), map[string]string{"aws:RequestedRegion": "us-east-1"}}}
	if role := form.Get("RoleARN"); role != "" {
		list = append(list, access{"iam:PassRole", role, map[string]string{"iam:PassedToService": "cloudformation.amazonaws.com"}})
	}
	g.mu.Lock()
	i := &iam{t: g.t, identity: g.deployer}
	for _, a := range list {
		g.used[a.action] = true
		if !i.allowed(a) {
			g.mu.Unlock()
			refuse(w, fmt.Sprintf("User: arn:aws:iam::%s:user/deployer is not authorized to perform: %s on resource: %s because no identity-based policy allows it", leastAccount, a.action, a.resource))
			return
		}
	}
	done := g.formation(w, name, form)
	g.mu.Unlock()
	if done {
		return
	}
	rec := httptest.NewRecorder()
	g.next.ServeHTTP(rec, r)
	g.learn(name, form, rec.Body.String())
	for header, values := range rec.Header() {
		w.Header()[header] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()) // a client that is gone needs no answer
}

func refuse(w http.ResponseWriter, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>", message)
}

var inAnswer = func(name string) *regexp.Regexp { return regexp.MustCompile("<" + name + ">([^<]+)</" + name + ">") }

// learn keeps what later requests refer to by ids.
func (g *gate) learn(name string, form url.Values, answer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch name {
	case "CreateAccessKey":
		if m := inAnswer("AccessKeyId").FindStringSubmatch(answer); m != nil {
			g.users[m[1]] = form.Get("UserName")
		}
	case "CreateChangeSet":
		if m := inAnswer("Id").FindStringSubmatch(answer); m != nil {
			g.templates[m[1]] = form.Get("TemplateBody")
		}
	}
}

// resource is what a request is about, as policies name it.
func (g *gate) resource(service string, form url.Values) string {
	if service == "cloudformation" {
		name := form.Get("StackName")
		if strings.HasPrefix(name, "arn:") {
			return name
		}
		return "arn:aws:cloudformation:us-east-1:" + leastAccount + ":stack/" + name + "/id"
	}
	if arn := form.Get("PolicyArn"); arn != "" {
		return arn
	}
	if name := form.Get("PolicyName"); name != "" {
		return "arn:aws:iam::" + leastAccount + ":policy/" + name
	}
	user := form.Get("UserName")
	if user == "" {
		g.mu.Lock()
		user = g.users[form.Get("AccessKeyId")]
		g.mu.Unlock()
	}
	return "arn:aws:iam::" + leastAccount + ":user/" + user
}

// formation is what CloudFormation does with the execution role. Done says that
// the request is answered.
func (g *gate) formation(w http.ResponseWriter, name string, form url.Values) (done bool) {
	switch name {
	case "ExecuteChangeSet":
		will := g.templates[form.Get("ChangeSetName")]
		if events := g.execute(g.deployed[g.stack], will); events != "" {
			g.failed[g.stack] = events
			break
		}
		g.deployed[g.stack] = will
		return false
	case "DeleteStack":
		events := g.execute(g.deployed[g.stack], "")
		if events == "" {
			return false
		}
		g.failed[g.stack] = events
	case "DescribeStackEvents":
		if g.failed[g.stack] == "" {
			return false
		}
	default:
		return false
	}
	fmt.Fprintf(w, "<%sResponse><%[1]sResult><StackEvents>%s</StackEvents></%[1]sResult></%[1]sResponse>", name, g.failed[g.stack])
	return true
}

// execute checks all that CloudFormation asks for to bring a stack from one
// template to another; events are empty if all is allowed.
func (g *gate) execute(was, will string) (events string) {
	i := &iam{t: g.t, identity: g.execution}
	for _, step := range stackSteps(g.t, g.stack, was, will) {
		for _, a := range step.needs {
			g.executed[a.action] = true
			if i.allowed(a) {
				continue
			}
			kind, end := "CREATE", "ROLLBACK_COMPLETE"
			switch {
			case will == "":
				kind, end = "DELETE", "DELETE_FAILED"
			case was != "":
				kind, end = "UPDATE", "UPDATE_ROLLBACK_COMPLETE"
			}
			event := func(id, logical, kind, status, reason string) string {
				return fmt.Sprintf("<member><EventId>%s</EventId><StackName>%s</StackName><LogicalResourceId>%s</LogicalResourceId><ResourceType>%s</ResourceType>"+
					"<Timestamp>2026-01-02T03:04:05Z</Timestamp><ResourceStatus>%s</ResourceStatus><ResourceStatusReason>%s</ResourceStatusReason></member>", id, g.stack, logical, kind, status, reason)
			}
			why := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s (Service: Iam, Status Code: 403)", g.place(g.stack).ExecutionRole(), a.action, a.resource)
			return event("end-"+a.action, g.stack, "AWS::CloudFormation::Stack", end, "") + event("why-"+a.action, step.id, step.kind, kind+"_FAILED", why)
		}
	}
	return ""
}

// step is what CloudFormation does with one resource.
type step struct {
	id, kind string
	needs    []access
}

// stackSteps are those of a change of a stack.
func stackSteps(t *testing.T, stack, was, will string) (list []step) {
	t.Helper()
	old, new := parsed(t, was), parsed(t, will)
	for _, id := range sortedIDs(old, new) {
		o, n := old[id], new[id]
		switch {
		case o == nil:
			list = append(list, step{id, n.Type, needsOf(t, "create", stack, n, new)})
		case n == nil && o.DeletionPolicy != "Retain":
			list = append(list, step{id, o.Type, needsOf(t, "delete", stack, o, old)})
		case n != nil && fmt.Sprint(o.Properties) != fmt.Sprint(n.Properties):
			list = append(list, step{id, n.Type, needsOf(t, "update", stack, n, new)})
		}
	}
	return list
}

func parsed(t *testing.T, text string) map[string]*guard.Resource {
	t.Helper()
	if text == "" {
		return nil
	}
	tmpl, err := guard.ParseTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.Resources
}

func sortedIDs(maps ...map[string]*guard.Resource) (ids []string) {
	for _, m := range maps {
		for id := range m {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
