package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
)

// answers stands in for AWS with the answers that its API documents, by the
// name of the action: each once, the last one for ever. What it does not know it refuses.
type answers struct {
	mu    sync.Mutex
	of    map[string][]string
	asked []string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = r.ParseForm() // what is no form has no action
	action := r.Form.Get("Action")
	a.asked = append(a.asked, action)
	list := a.of[action]
	if len(list) == 0 {
		list = []string{refusal(501, "NotImplemented", "no answer to "+action)}
	}
	if len(list) > 1 {
		a.of[action] = list[1:]
	}
	status := 200
	body := list[0]
	if n, rest, ok := strings.Cut(body, "\n"); ok && len(n) == 3 {
		fmt.Sscan(n, &status)
		body = rest
	} else {
		body = fmt.Sprintf("<%sResponse><%[1]sResult>%s</%[1]sResult></%[1]sResponse>", action, body)
	}
	// The SDK closes what it sends once an answer begins. If that comes before the client
	// knows that all is sent, the connection goes in the middle of a long answer.
	time.Sleep(time.Millisecond)
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

func (a *answers) count(action string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, asked := range a.asked {
		if asked == action {
			n++
		}
	}
	return n
}

func refusal(status int, code, message string) string {
	return fmt.Sprintf("%d\n<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", status, code, message)
}

const stackARN = "arn:aws:cloudformation:eu-west-1:123456789012:stack/tarn/1"

func stackIn(status string) string {
	return "<Stacks><member><StackName>tarn</StackName><StackId>" + stackARN + "</StackId><StackStatus>" + status +
		"</StackStatus><CreationTime>2026-01-02T03:04:05Z</CreationTime></member></Stacks>"
}

var noStack = refusal(400, "ValidationError", "Stack with id tarn does not exist")

// event is one of the stack, or of a resource of it; id makes it another one.
func event(id, logical, kind, status, reason string) string {
	return fmt.Sprintf("<member><EventId>%s</EventId><StackName>tarn</StackName><LogicalResourceId>%s</LogicalResourceId><PhysicalResourceId>p</PhysicalResourceId>"+
		"<ResourceType>%s</ResourceType><Timestamp>2026-01-02T03:04:05Z</Timestamp><ResourceStatus>%s</ResourceStatus><ResourceStatusReason>%s</ResourceStatusReason></member>",
		id, logical, kind, status, reason)
}

func events(newestFirst ...string) string {
	return "<StackEvents>" + strings.Join(newestFirst, "") + "</StackEvents>"
}

// open opens an account at a server, with keys that are nobody's.
func open(t *testing.T, url string) *cloud.Account {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "testsecret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	a, err := cloud.Open(t.Context(), cloud.Config{Region: "eu-west-1", Endpoint: url, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func answering(t *testing.T, of map[string][]string) (*cloud.Account, *answers) {
	t.Helper()
	a := &answers{of: of}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return open(t, s.URL), a
}

// TestStates: each state that a stack can be in takes a change set or says why not.
func TestStates(t *testing.T) {
	for status, want := range map[string]error{
		"CREATE_COMPLETE": nil, "UPDATE_COMPLETE": nil, "UPDATE_ROLLBACK_COMPLETE": nil, "REVIEW_IN_PROGRESS": nil, "IMPORT_COMPLETE": nil,
		"ROLLBACK_COMPLETE": cloud.ErrRolledBack, "CREATE_FAILED": cloud.ErrRolledBack,
		"CREATE_IN_PROGRESS": cloud.ErrUnderWay, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": cloud.ErrUnderWay, "DELETE_IN_PROGRESS": cloud.ErrUnderWay,
		"UPDATE_ROLLBACK_FAILED": cloud.ErrStuck, "ROLLBACK_FAILED": cloud.ErrStuck, "DELETE_FAILED": cloud.ErrStuck,
	} {
		a, _ := answering(t, map[string][]string{"DescribeStacks": {stackIn(status)}, "ListStackResources": {"<StackResourceSummaries/>"}})
		s, err := a.Stack(t.Context(), "tarn")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Changeable(); !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), status) {
			t.Errorf("%s: %v, want %v", status, err, want)
		}
	}
}

// TestPropose: what CloudFormation says of a change set, in all its ways.
func TestPropose(t *testing.T) {
	made := "<Id>arn:change</Id><StackId>" + stackARN + "</StackId>"
	change := "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action><LogicalResourceId>BackupBucket</LogicalResourceId><ResourceType>AWS::S3::Bucket</ResourceType>" +
		"<Replacement>%s</Replacement></ResourceChange></member>"
	for name, test := range map[string]struct {
		described []string
		want      error
		text      string
		changes   int
		discarded int
	}{
		"after a while": {[]string{"<Status>CREATE_IN_PROGRESS</Status>", "<Status>CREATE_COMPLETE</Status><Changes>" + fmt.Sprintf(change, "False") + "</Changes>"}, nil, "", 1, 0},
		"a replacement": {[]string{"<Status>CREATE_COMPLETE</Status><Changes>" + fmt.Sprintf(change, "True") + "</Changes>"}, nil, "", 1, 0},
		"perhaps one":   {[]string{"<Status>CREATE_COMPLETE</Status><Changes>" + fmt.Sprintf(change, "Conditional") + "</Changes>"}, nil, "", 1, 0},
		"two pages": {[]string{"<Status>CREATE_COMPLETE</Status><NextToken>n</NextToken><Changes>" + fmt.Sprintf(change, "True") + "</Changes>",
			"<Status>CREATE_COMPLETE</Status><Changes>" + fmt.Sprintf(change, "True") + "</Changes>"}, nil, "", 2, 0},
		"nothing":    {[]string{"<Status>FAILED</Status><StatusReason>The submitted information didn't contain changes. Submit different information to create a change set.</StatusReason>"}, cloud.ErrNoChange, "", 0, 1},
		"no updates": {[]string{"<Status>FAILED</Status><StatusReason>No updates are to be performed.</StatusReason>"}, cloud.ErrNoChange, "", 0, 1},
		"impossible": {[]string{"<Status>FAILED</Status><StatusReason>Template error</StatusReason>"}, nil, "impossible: Template error", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a, log := answering(t, map[string][]string{
				"DescribeStacks": {stackIn("CREATE_COMPLETE")}, "CreateChangeSet": {made}, "DescribeChangeSet": test.described, "DeleteChangeSet": {""},
			})
			c, err := a.Propose(t.Context(), cloud.Proposal{Stack: "tarn", Template: "Resources: {}"})
			switch {
			case test.want != nil && !errors.Is(err, test.want), test.text != "" && (err == nil || !strings.Contains(err.Error(), test.text)),
				test.want == nil && test.text == "" && (err != nil || len(c.Changes) != test.changes || c.New):
				t.Errorf("%+v, %v", c, err)
			}
			if n := log.count("DeleteChangeSet"); n != test.discarded {
				t.Errorf("the change set was deleted %d times", n)
			}
		})
	}
}

func summary(name, description string) string {
	return "<Summaries><member><StackName>tarn</StackName><ChangeSetName>" + name + "</ChangeSetName><Description>" + description + "</Description></member></Summaries>"
}

// TestDiscardNew: the empty stack of a change set that is not wanted goes, too,
// unless it has one of somebody else's.
func TestDiscardNew(t *testing.T) {
	a, log := answering(t, map[string][]string{
		"DescribeStacks": {noStack, stackIn("REVIEW_IN_PROGRESS")}, "CreateChangeSet": {"<Id>arn:change</Id>"}, "DescribeChangeSet": {"<Status>CREATE_COMPLETE</Status>"},
		"DeleteChangeSet": {""}, "DeleteStack": {""}, "ListChangeSets": {summary("tarn-2", "made by tarn"), summary("boss", ""), summary("boss", "for Tuesday")},
	})
	c, err := a.Propose(t.Context(), cloud.Proposal{Stack: "tarn", Template: "Resources: {}"})
	if err != nil || !c.New {
		t.Fatalf("%+v, %v", c, err)
	}
	for range 3 { // of which two find somebody else's change set
		if err := a.Discard(t.Context(), c); err != nil || log.count("DeleteStack") != 1 {
			t.Errorf("%v, %v", err, log.asked)
		}
	}
}

// TestFollow: events are told once and in order, across looks and pages, and
// old ones not at all; how it ends is judged by what the events say.
func TestFollow(t *testing.T) {
	const stack = "AWS::CloudFormation::Stack"
	old := event("0", "tarn", stack, "UPDATE_COMPLETE", "")
	begun := event("1", "tarn", stack, "UPDATE_IN_PROGRESS", "User Initiated")
	user := event("2", "Machine2", "AWS::IAM::User", "CREATE_IN_PROGRESS", "")
	for name, test := range map[string]struct {
		looks      []string
		told       string
		kinds      []error
		permission string
		text       string
	}{
		"done": {[]string{events(old), events(old), events(user, begun, old), events(event("4", "tarn", stack, "UPDATE_COMPLETE", ""), event("3", "Machine2", "AWS::IAM::User", "CREATE_COMPLETE", ""), user, begun, old)},
			"UPDATE_IN_PROGRESS CREATE_IN_PROGRESS CREATE_COMPLETE UPDATE_COMPLETE", nil, "", ""},
		"pages": {[]string{events(old), "<NextToken>n</NextToken>" + events(event("4", "tarn", stack, "UPDATE_COMPLETE", "")), events(user, begun, old)},
			"UPDATE_IN_PROGRESS CREATE_IN_PROGRESS UPDATE_COMPLETE", nil, "", ""},
		"a permission": {[]string{events(old), events(event("4", "tarn", stack, "ROLLBACK_COMPLETE", ""), event("5", "BackupBucket", "AWS::S3::Bucket", "CREATE_FAILED", "Resource creation cancelled"),
			event("3", "Machine2", "AWS::IAM::User", "CREATE_FAILED", "User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateUser on resource: y"), begun, old)},
			"UPDATE_IN_PROGRESS CREATE_FAILED CREATE_FAILED ROLLBACK_COMPLETE", []error{tarn.ErrDenied, cloud.ErrRolledBack}, "iam:CreateUser", "Machine2 (AWS::IAM::User)"},
		"a name": {[]string{events(old), events(event("4", "tarn", stack, "UPDATE_ROLLBACK_COMPLETE", ""), event("3", "CostAlarm", "AWS::Budgets::Budget", "CREATE_FAILED", "tarn-cost already exists"), begun, old)},
			"UPDATE_IN_PROGRESS CREATE_FAILED UPDATE_ROLLBACK_COMPLETE", []error{cloud.ErrNameTaken}, "", "already exists"},
		"stuck": {[]string{events(old), events(event("4", "tarn", stack, "UPDATE_ROLLBACK_FAILED", ""), begun, old)}, "UPDATE_IN_PROGRESS UPDATE_ROLLBACK_FAILED", []error{cloud.ErrStuck}, "", "UPDATE_ROLLBACK_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := answering(t, map[string][]string{"DescribeStacks": {stackIn("UPDATE_IN_PROGRESS")}, "ExecuteChangeSet": {""}, "DescribeStackEvents": test.looks})
			var told []string
			err := a.Execute(t.Context(), &cloud.ChangeSet{ID: "arn:change", Stack: "tarn", StackID: stackARN}, nil, func(e cloud.Event) { told = append(told, string(e.Status)) })
			if strings.Join(told, " ") != test.told {
				t.Errorf("told %v", told)
			}
			if (err != nil) != (test.text != "") || err != nil && !strings.Contains(err.Error(), test.text) || cloud.Permission(err) != test.permission {
				t.Errorf("%v", err)
			}
			for _, kind := range test.kinds {
				if !errors.Is(err, kind) {
					t.Errorf("%v is not %v", err, kind)
				}
			}
		})
	}
}

// TestAccepted: what follows an accepted change follows no refused one.
func TestAccepted(t *testing.T) {
	done := event("1", "tarn", "AWS::CloudFormation::Stack", "UPDATE_COMPLETE", "")
	for answer, want := range map[string]int{"": 1, refusal(403, "AccessDenied", "User: u is not authorized to perform: cloudformation:ExecuteChangeSet on resource: s"): 0} {
		a, _ := answering(t, map[string][]string{"ExecuteChangeSet": {answer}, "DescribeStackEvents": {events(), events(done)}, "DescribeStacks": {stackIn("UPDATE_IN_PROGRESS")}})
		calls := 0
		err := a.Execute(t.Context(), &cloud.ChangeSet{ID: "arn:change", Stack: "tarn", StackID: stackARN}, func(context.Context) error { calls++; return nil }, func(cloud.Event) {})
		if calls != want || (err == nil) != (want == 1) {
			t.Errorf("%q: called %d times, %v", answer, calls, err)
		}
	}
}

// TestFollowUnderWay: a stack that somebody else changes is followed by its id to
// its end, even if the last of its events was there before the first look.
func TestFollowUnderWay(t *testing.T) {
	end := event("2", "tarn", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_COMPLETE", "")
	failed := event("1", "Machine1", "AWS::IAM::User", "UPDATE_FAILED", "no")
	for name, looks := range map[string][]string{"seen": {events(), events(end, failed)}, "missed": {events(end, failed)}} {
		a, _ := answering(t, map[string][]string{"DescribeStackEvents": looks, "DescribeStacks": {stackIn("UPDATE_IN_PROGRESS"), stackIn("UPDATE_ROLLBACK_COMPLETE")}})
		s, err := a.Find(t.Context(), "tarn")
		if err != nil || !s.UnderWay() {
			t.Fatalf("%+v, %v", s, err)
		}
		if err := a.Follow(t.Context(), s, func(cloud.Event) {}); err == nil || !strings.Contains(err.Error(), "UPDATE_ROLLBACK_COMPLETE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, _ := answering(t, map[string][]string{"DescribeStackEvents": {events()}, "DescribeStacks": {stackIn("DELETE_IN_PROGRESS"), noStack}})
	s, err := a.Find(t.Context(), "tarn")
	if err == nil {
		err = a.Follow(t.Context(), s, func(cloud.Event) {})
	}
	if err != nil {
		t.Errorf("one that goes: %v", err)
	}
}

// TestResources: a stack with more resources than a page has is read to its end.
func TestResources(t *testing.T) {
	page := func(from int) (list string) {
		for i := range 100 {
			list += fmt.Sprintf("<member><LogicalResourceId>Machine%d</LogicalResourceId><PhysicalResourceId>user-%[1]d</PhysicalResourceId><ResourceType>AWS::IAM::User</ResourceType>"+
				"<LastUpdatedTimestamp>2026-01-02T03:04:05Z</LastUpdatedTimestamp><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>", from+i)
		}
		return "<StackResourceSummaries>" + list + "</StackResourceSummaries>"
	}
	a, _ := answering(t, map[string][]string{"DescribeStacks": {stackIn("CREATE_COMPLETE")}, "ListStackResources": {page(1) + "<NextToken>n</NextToken>", page(101)}})
	s, err := a.Stack(t.Context(), "tarn")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Resources) != 200 || s.User(1) != "user-1" || s.User(150) != "user-150" {
		t.Errorf("%d resources", len(s.Resources))
	}
}

// TestErrors: what AWS answers is told by a sentinel, and the permission that is
// missing by its name, said or not.
func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		answer     string
		want       error
		permission string
	}{
		"a wrong key":    {refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid."), cloud.ErrCredentials, ""},
		"a wrong secret": {refusal(403, "SignatureDoesNotMatch", "no"), cloud.ErrCredentials, ""},
		"an old token":   {refusal(403, "ExpiredToken", "no"), cloud.ErrCredentials, ""},
		"a policy":       {refusal(403, "AccessDenied", "User: u is not authorized to perform: iam:ListAccessKeys on resource: user x because no policy allows it"), tarn.ErrDenied, "iam:ListAccessKeys"},
		"a mute policy":  {refusal(403, "AccessDenied", "Access Denied"), tarn.ErrDenied, "iam:ListAccessKeys"},
		"no region":      {refusal(403, "OptInRequired", "no"), cloud.ErrRegion, ""},
	} {
		a, _ := answering(t, map[string][]string{"ListAccessKeys": {test.answer}})
		_, err := a.Keys(t.Context(), "x")
		if !errors.Is(err, test.want) || cloud.Permission(err) != test.permission || strings.Contains(err.Error(), "testsecret") {
			t.Errorf("%s: %v (%s)", name, err, cloud.Permission(err))
		}
	}
	a, _ := answering(t, map[string][]string{"CreateAccessKey": {refusal(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")}, "DescribeStacks": {noStack}})
	if _, err := a.NewKey(t.Context(), "x"); !errors.Is(err, cloud.ErrTooManyKeys) {
		t.Errorf("a third key: %v", err)
	}
	if _, err := a.Stack(t.Context(), "tarn"); !errors.Is(err, cloud.ErrNoStack) {
		t.Errorf("no stack: %v", err)
	}
	if _, err := open(t, "http://127.0.0.1:1").Identity(t.Context()); !errors.Is(err, cloud.ErrNoNetwork) {
		t.Errorf("no network: %v", err)
	}
}

// TestOpen: what is missing is told before any request.
func TestOpen(t *testing.T) {
	open(t, "http://127.0.0.1:1")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	for name, test := range map[string]struct {
		cfg  cloud.Config
		want error
	}{
		"no region":  {cloud.Config{}, cloud.ErrNoRegion},
		"no profile": {cloud.Config{Region: "eu-west-1", Profile: "absent"}, cloud.ErrNoProfile},
		"no URL":     {cloud.Config{Region: "eu-west-1", Endpoint: "localhost"}, os.ErrInvalid},
		"a password": {cloud.Config{Region: "eu-west-1", Endpoint: "http://me:testsecret@localhost"}, os.ErrInvalid},
	} {
		if _, err := cloud.Open(t.Context(), test.cfg); !errors.Is(err, test.want) || strings.Contains(err.Error(), "testsecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := cloud.Open(t.Context(), cloud.Config{Region: "eu-west-1"}); !errors.Is(err, cloud.ErrNoCredentials) {
		t.Errorf("no credentials: %v", err)
	}
}

// TestTryKey: a key works once it has so many times running, whichever server of
// AWS's was asked.
func TestTryKey(t *testing.T) {
	var asked int
	known := []bool{false, true, true, false, true, true, true}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if !known[min(asked, len(known))-1] {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>")
			return
		}
		fmt.Fprint(w, "<ListBucketResult/>")
	}))
	t.Cleanup(s.Close)
	a := open(t, s.URL)
	for times, want := range map[int]int{1: 2, 2: 3, 3: 7} {
		asked = 0
		if err := a.TryKey(t.Context(), &cloud.NewKey{User: "u", ID: "AKIANEW", Secret: "s"}, "bucket", "tarn", times); err != nil || asked != want {
			t.Errorf("%d times: asked %d times, want %d, %v", times, asked, want, err)
		}
	}
}

// TestNamesByCase: for IAM two names that differ in capital letters only are one, and a
// stack called so is told why.
func TestNamesByCase(t *testing.T) {
	a, _ := answering(t, map[string][]string{
		"GetPolicy": {refusal(404, "NoSuchEntity", "Policy was not found")}, "CreatePolicy": {refusal(409, "EntityAlreadyExists", "A policy called so already exists")},
	})
	if _, _, err := a.Bound(t.Context(), cloud.NewPlace("eu-west-1", "123456789012", "Tarn")); !errors.Is(err, cloud.ErrNameTaken) || !strings.Contains(err.Error(), "differs in capital letters only") {
		t.Error(err)
	}
}
