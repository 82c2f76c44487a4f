package cloud_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// deploy has a server do what options want.
func deploy(t *testing.T, a *cloud.Account, o cloud.Options) *cloud.Stack {
	t.Helper()
	text, err := o.Template()
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Propose(t.Context(), cloud.Proposal{Stack: "tarn", Template: text})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	if err := a.Execute(t.Context(), c, nil, func(cloud.Event) { told++ }); err != nil || told == 0 {
		t.Fatalf("%d events, %v", told, err)
	}
	s, err := a.Stack(t.Context(), "tarn")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLife is a stack's life on a server that others wrote. What that has not
// (replacement, outputs of change sets, rollback, budgets, the bucket's policy and
// lifecycle) is left to the answers and to cfn-lint.
func TestLife(t *testing.T) {
	a := open(t, storagetest.Moto(t).URL)
	if who, err := a.Identity(t.Context()); err != nil || len(who.Account) != 12 {
		t.Fatalf("%+v, %v", who, err)
	}
	o := cloud.DefaultOptions()
	s := deploy(t, a, o)
	if !strings.HasPrefix(s.Bucket(), "tarn-backupbucket-") || !strings.HasPrefix(s.User(1), "tarn-Machine1-") || s.User(2) != "" || s.Changeable() != nil {
		t.Errorf("%+v", s)
	}
	text, err := o.Template()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Propose(t.Context(), cloud.Proposal{Stack: "tarn", Template: text}); !errors.Is(err, cloud.ErrNoChange) {
		t.Errorf("the same again: %v", err)
	}
	deployed, err := a.Template(t.Context(), "tarn")
	has, ok, readErr := cloud.ReadOptions(deployed)
	if err != nil || readErr != nil || !ok || has != o {
		t.Errorf("%+v, %v, %v, %v", has, ok, err, readErr)
	}
	o.Users = 2
	if more := deploy(t, a, o); more.Bucket() != s.Bucket() || more.User(1) != s.User(1) || more.User(2) == "" {
		t.Errorf("%+v, before %+v", more, s)
	}
	key, err := a.NewKey(t.Context(), s.User(1))
	if err != nil || key.Secret.Reveal() == "" {
		t.Fatal(err)
	}
	if err := a.TryKey(t.Context(), key, s.Bucket(), o.Prefix, 2); err != nil {
		t.Error(err)
	}
	if err := a.DisableKey(t.Context(), key.User, key.ID); err != nil {
		t.Error(err)
	}
	if keys, err := a.Keys(t.Context(), key.User); err != nil || len(keys) != 1 || keys[0].ID != key.ID || keys[0].Active {
		t.Errorf("%+v, %v", keys, err)
	}
	for range 2 { // gone is gone
		if err := a.RemoveKey(t.Context(), key.User, key.ID); err != nil {
			t.Error(err)
		}
	}
	if err := a.Delete(t.Context(), s, nil, func(cloud.Event) {}); err != nil {
		t.Error(err)
	}
	if _, err := a.Stack(t.Context(), "tarn"); !errors.Is(err, cloud.ErrNoStack) {
		t.Errorf("after the end: %v", err)
	}
}

// TestApply: a policy that changes again and again keeps five versions, and the
// one in force says what it should.
func TestApply(t *testing.T) {
	a := open(t, storagetest.Moto(t).URL)
	p := cloud.NewPlace("eu-west-1", "123456789012", "tarn")
	for i := range 8 {
		p.Prefix = fmt.Sprintf("p%d", i)
		done, err := a.Apply(t.Context(), p, cloud.Backup)
		if err != nil {
			t.Fatal(err)
		}
		wantRemoved := ""
		if i >= 5 {
			wantRemoved = fmt.Sprintf("v%d", i-4)
		}
		if done.Made != (i == 0) || !done.Changed || done.Version != fmt.Sprintf("v%d", i+1) || done.Removed != wantRemoved {
			t.Errorf("%d: %+v", i, done)
		}
		if again, err := a.Apply(t.Context(), p, cloud.Backup); err != nil || again.Changed || again.Version != done.Version {
			t.Errorf("%d, the same again: %+v, %v", i, again, err)
		}
		out, err := a.IAM.ListPolicyVersions(t.Context(), &iam.ListPolicyVersionsInput{PolicyArn: &done.ARN})
		if err != nil || len(out.Versions) != min(i+1, 5) {
			t.Errorf("%d: %d versions, %v", i, len(out.Versions), err)
		}
	}
}

func TestWeigh(t *testing.T) {
	e := storagetest.Moto(t)
	a := open(t, e.URL)
	if _, err := a.Weigh(t.Context(), "there-is-no-such-bucket"); !errors.Is(err, cloud.ErrNoBucket) {
		t.Errorf("no bucket: %v", err)
	}
	put := func(key, body string, class tarn.Class) {
		t.Helper()
		in := &s3.PutObjectInput{Bucket: &e.Bucket, Key: &key, Body: strings.NewReader(body), StorageClass: types.StorageClass(class)}
		if _, err := a.S3.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	on := &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}
	if _, err := a.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &e.Bucket, VersioningConfiguration: on}); err != nil {
		t.Fatal(err)
	}
	put("a", "12345", tarn.DeepArchive)
	put("b", "12345", tarn.DeepArchive)
	put("c", "1", tarn.Standard)
	put("c", "123", tarn.Standard)
	w, err := a.Weigh(t.Context(), e.Bucket)
	if err != nil || w.Objects != 3 || w.Bytes != 13 || w.Old != 1 || w.OldBytes != 1 {
		t.Fatalf("%+v, %v", w, err)
	}
	got := map[tarn.Class]int64{}
	err = w.Versions(func(class tarn.Class, count, size int64) error {
		got[class] += count * size
		return nil
	})
	if err != nil || got[tarn.DeepArchive] != 10 || got[tarn.Standard] != 4 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestSecret: it shows itself in no way that text is made of a value.
func TestSecret(t *testing.T) {
	k := cloud.NewKey{User: "u", ID: "AKIA", Secret: "sesame"}
	doc, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("made", "key", k, "secret", k.Secret)
	for _, text := range []string{string(doc), b.String(), fmt.Sprint(k), fmt.Sprintf("%+v %#v %s %q %v", k, k, k.Secret, k.Secret, &k), fmt.Sprintf("%x", k.Secret)} {
		if strings.Contains(text, "sesame") || strings.Contains(text, fmt.Sprintf("%x", "sesame")) {
			t.Error(text)
		}
	}
}
