package cloud_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// combinations are all that the flags can make of a stack.
func combinations() (list []cloud.Options) {
	for _, class := range tarn.Classes {
		for bits := range 16 {
			o := cloud.DefaultOptions()
			o.Class, o.KMS, o.AdminRole = class, bits&1 != 0, bits&2 != 0
			if bits&4 != 0 {
				o.Budget, o.Email = 5, "me@example.org"
			}
			if bits&8 != 0 {
				o.Users = 3
			}
			list = append(list, o)
			for _, o.LockMode = range []string{cloud.Governance, cloud.Compliance} {
				o.LockDays, o.Prefix = 30, "backups/home"
				list = append(list, o)
			}
		}
	}
	return list
}

// TestLint: each template passes cfn-lint without a word, its hints included.
func TestLint(t *testing.T) {
	lint := storagetest.Program(t, "cfn-lint")
	dir := t.TempDir()
	args := []string{"--include-checks", "I", "--ignore-checks", "I3042,I1022", "--regions", "us-east-1", "eu-central-1", "--template"}
	all := storagetest.All(t)
	for i, o := range combinations() {
		if !all && i%17 != 0 {
			continue
		}
		text, err := o.Template()
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.yaml", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.CommandContext(t.Context(), lint, args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%.4000s", err, out)
	}
}

// resource is one of a template, as far as the tests look at it.
type resource struct {
	Type                string
	DeletionPolicy      string `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string `yaml:"UpdateReplacePolicy"`
	Properties          yaml.Node
}

func resources(t *testing.T, o cloud.Options) (text string, all map[string]resource) {
	t.Helper()
	text, err := o.Template()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Resources map[string]resource `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return text, doc.Resources
}

// TestTemplate: what must hold of every template, whatever the flags.
func TestTemplate(t *testing.T) {
	for _, o := range combinations() {
		text, all := resources(t, o)
		for id, r := range all {
			holds := r.Type == "AWS::S3::Bucket" || r.Type == "AWS::KMS::Key"
			if holds && (r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain") {
				t.Errorf("%+v: %s does not stay", o, id)
			}
		}
		for id, want := range map[string]bool{
			"BackupBucket": true, "BackupBucketPolicy": true, "MachinePolicy": true, "Machine1": true, "Machine3": o.Users == 3, "Machine4": false,
			"BackupKey": o.KMS, "AdminRole": o.AdminRole, "CostAlarm": o.Budget > 0,
		} {
			if _, ok := all[id]; ok != want {
				t.Errorf("%+v: %s is there: %v", o, id, ok)
			}
		}
		for _, want := range []string{"DaysAfterInitiation: 3", "NewerNoncurrentVersions: 3", fmt.Sprintf("NoncurrentDays: %d\n", o.KeptDays()), "BucketOwnerEnforced", "RestrictPublicBuckets: true", `"aws:SecureTransport": "false"`, `"s3:if-none-match": "true"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%+v: no %q", o, want)
			}
		}
		if strings.Contains(text, "Delete\"") || strings.Contains(text, "s3:DeleteObject") != o.AdminRole || strings.Contains(text, "DeleteObjectVersion") || strings.Contains(text, "BucketName: ") && !strings.Contains(text, "BucketName:\n") {
			t.Errorf("%+v: who may delete, or a name that is hard-coded", o)
		}
		if got, ok, err := cloud.ReadOptions(text); err != nil || !ok || got != o {
			t.Errorf("%+v are read as %+v, %v, %v", o, got, ok, err)
		}
		if len(text) > 51200 {
			t.Errorf("%+v: %d bytes", o, len(text))
		}
	}
}

// TestBudgetName: CloudFormation replaces a budget whose address changes, and makes
// the new one first: by the same name it would fail.
func TestBudgetName(t *testing.T) {
	names := map[string]bool{}
	for _, email := range []string{"me@example.org", "you@example.org", "me@example.org"} {
		o := cloud.DefaultOptions()
		o.Budget, o.Email = 5, email
		text, _ := resources(t, o)
		_, rest, _ := strings.Cut(text, "BudgetName: ")
		name, _, _ := strings.Cut(rest, "\n")
		names[name] = true
	}
	if len(names) != 2 {
		t.Errorf("two addresses have the names %v", names)
	}
}

// TestMostUsers: as many users as there may be fit into a request.
func TestMostUsers(t *testing.T) {
	o := cloud.DefaultOptions()
	o.Users, o.KMS, o.AdminRole, o.LockDays, o.Budget, o.Email = 50, true, true, 100, 5, "me@example.org"
	if text, _ := resources(t, o); len(text) > 51200 {
		t.Errorf("%d bytes", len(text))
	}
}

// TestKeptDays: what was deleted stays as long as it is billed, or 30 days.
func TestKeptDays(t *testing.T) {
	for class, want := range map[tarn.Class]int64{tarn.Standard: 30, tarn.StandardIA: 30, tarn.OneZoneIA: 30, tarn.IntelligentTiering: 30, tarn.GlacierIR: 90, tarn.Glacier: 90, tarn.DeepArchive: 180} {
		o := cloud.DefaultOptions()
		o.Class = class
		if got := o.KeptDays(); got != want {
			t.Errorf("%s: %d days, want %d", class, got, want)
		}
	}
}

func TestCheckOptions(t *testing.T) {
	for name, change := range map[string]func(*cloud.Options){
		"class":        func(o *cloud.Options) { o.Class = "COLD" },
		"prefix":       func(o *cloud.Options) { o.Prefix = "a\n  Evil: true" },
		"no users":     func(o *cloud.Options) { o.Users = 0 },
		"many users":   func(o *cloud.Options) { o.Users = 51 },
		"lock":         func(o *cloud.Options) { o.LockDays = -1 },
		"mode":         func(o *cloud.Options) { o.LockMode = "LOOSE" },
		"budget alone": func(o *cloud.Options) { o.Budget = 5 },
		"email alone":  func(o *cloud.Options) { o.Email = "me@example.org" },
		"no email":     func(o *cloud.Options) { o.Budget, o.Email = 5, "me" },
		"two emails":   func(o *cloud.Options) { o.Budget, o.Email = 5, "a@b.c\nd@e.f" },
	} {
		o := cloud.DefaultOptions()
		change(&o)
		if _, err := o.Template(); err == nil {
			t.Errorf("%s: %+v is accepted", name, o)
		}
	}
	if _, ok, err := cloud.ReadOptions("Resources: {A: {Type: !Sub x}}"); ok || err != nil {
		t.Errorf("another's template: %v, %v", ok, err)
	}
	if _, _, err := cloud.ReadOptions("a: [b"); err == nil || !strings.Contains(err.Error(), "reading the template") {
		t.Error(err)
	}
}
