package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// labUser is a person before a lab with the programs of other people.
type labUser struct {
	t   *testing.T
	lab *s3lab.Lab
	end storagetest.Endpoint
	dir string
}

// inLabs runs a test on a lab with a store of its own on disk, and on one
// before versitygw.
func inLabs(t *testing.T, test func(u *labUser)) {
	all := storagetest.All(t)
	for name, versitygw := range map[string]bool{"own store": false, "versitygw": true} {
		if versitygw && !all {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &labUser{t: t, dir: e2e.Scratch(t)}
			u.end = storagetest.Endpoint{Bucket: "tarn", Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret"}
			cfg := s3lab.LabConfig{Dir: filepath.Join(u.dir, "lab"), AccessKey: u.end.AccessKey, SecretKey: u.end.SecretKey, Region: u.end.Region}
			if versitygw {
				u.end = storagetest.Versitygw(t)
				upstream, err := url.Parse(u.end.URL)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Upstream = upstream
			}
			var err error
			if u.lab, err = s3lab.Open(cfg); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(u.lab)
			t.Cleanup(func() {
				server.Close()
				if err := u.lab.Close(); err != nil {
					t.Error(err)
				}
			})
			u.end.URL, u.end.Bucket = server.URL, "made"
			for range 2 { // the second time it is there
				if err := u.lab.CreateBucket(t.Context(), u.end.Bucket); err != nil {
					t.Fatal(err)
				}
			}
			test(u)
		})
	}
}

// run runs a program with the lab's keys, and returns its exit code and what it printed.
func (u *labUser) run(name string, args ...string) (code int, out string) {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), storagetest.Program(u.t, name), args...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), endpointEnv(u.end)...)
	cmd.Env = append(cmd.Env, "AWS_DEFAULT_REGION="+u.end.Region, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_LAB_TYPE=s3", "RCLONE_CONFIG_LAB_PROVIDER=Other",
		"RCLONE_CONFIG_LAB_ENV_AUTH=true", "RCLONE_CONFIG_LAB_ENDPOINT="+u.end.URL, "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1")
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		u.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), both.String()
}

// ok runs a program that has to succeed and to print what is wanted.
func (u *labUser) ok(want, name string, args ...string) string {
	u.t.Helper()
	code, out := u.run(name, args...)
	if code != 0 || !strings.Contains(out, want) {
		u.t.Errorf("%s %s: exit code %d, want %q in\n%s", name, strings.Join(args, " "), code, want, out)
	}
	return out
}

// fails runs a program that has to fail with what is wanted.
func (u *labUser) fails(want, name string, args ...string) {
	u.t.Helper()
	code, out := u.run(name, args...)
	if code == 0 || !regexp.MustCompile(want).MatchString(out) {
		u.t.Errorf("%s %s: exit code %d, want %s in\n%s", name, strings.Join(args, " "), code, want, out)
	}
}

func (u *labUser) advance(d time.Duration) {
	u.t.Helper()
	if err := u.lab.Advance(d); err != nil {
		u.t.Fatal(err)
	}
}

// contents makes files of these sizes, the later in parts as the aws CLI and
// rclone send them.
func (u *labUser) contents() (small, large []byte) {
	u.t.Helper()
	small, large = e2e.Content(1, 1000), e2e.Content(2, 20<<20)
	e2e.Write(u.t, filepath.Join(u.dir, "small"), small)
	e2e.Write(u.t, filepath.Join(u.dir, "large"), large)
	return small, large
}

func (u *labUser) same(name string, want []byte) {
	u.t.Helper()
	got, err := os.ReadFile(filepath.Join(u.dir, name))
	if err != nil || !bytes.Equal(got, want) {
		u.t.Errorf("%s has %d bytes that are not the %d that were stored: %v", name, len(got), len(want), err)
	}
}

// requests counts what the lab saw, by operation and status.
func (u *labUser) requests() map[string]int {
	n := map[string]int{}
	for e, err := range u.lab.Events() {
		if err != nil {
			u.t.Fatal(err)
		}
		if e.Op != "" {
			n[fmt.Sprintf("%s %d", e.Op, e.Status)]++
		}
	}
	return n
}

// TestLabAWSCLI: to Amazon's own client a frozen object of the lab is what one
// of S3 is.
func TestLabAWSCLI(t *testing.T) {
	storagetest.Program(t, "aws")
	inLabs(t, func(u *labUser) {
		small, large := u.contents()
		at := "s3://" + u.end.Bucket + "/d/"
		object := func(key string) []string { return []string{"--bucket", u.end.Bucket, "--key", "d/" + key} }
		api := func(op, key string, more ...string) []string {
			return append(append([]string{"s3api", op}, object(key)...), more...)
		}
		u.ok("", "aws", "s3", "cp", "small", at+"small", "--storage-class", "GLACIER")
		u.ok("", "aws", "s3", "cp", "large", at+"large", "--storage-class", "DEEP_ARCHIVE")
		u.fails("GLACIER", "aws", "s3", "cp", at+"small", "back")
		u.fails("InvalidObjectState", "aws", "s3", "cp", at+"small", "back", "--force-glacier-transfer")
		u.fails("InvalidObjectState", "aws", api("get-object", "large", "back")...)
		u.fails("InvalidObjectState", "aws", "s3api", "copy-object", "--bucket", u.end.Bucket, "--key", "copy", "--copy-source", u.end.Bucket+"/d/large")
		if _, err := os.Stat(filepath.Join(u.dir, "back")); !errors.Is(err, fs.ErrNotExist) {
			u.t.Errorf("a file of a frozen object is there: %v", err)
		}
		const request = `{"Days":2,"GlacierJobParameters":{"Tier":"%s"}}`
		u.fails("NoSuchKey", "aws", api("restore-object", "absent", "--restore-request", fmt.Sprintf(request, "Bulk"))...)
		u.ok("", "aws", api("restore-object", "small", "--restore-request", fmt.Sprintf(request, "Bulk"))...)
		u.fails("RestoreAlreadyInProgress", "aws", api("restore-object", "small", "--restore-request", fmt.Sprintf(request, "Bulk"))...)
		u.ok("", "aws", api("restore-object", "small", "--restore-request", fmt.Sprintf(request, "Expedited"))...)
		u.ok("", "aws", api("restore-object", "large", "--restore-request", fmt.Sprintf(request, "Standard"))...)
		u.ok(`ongoing-request=\"true\"`, "aws", api("head-object", "large")...)
		list := []string{"s3api", "list-objects-v2", "--bucket", u.end.Bucket, "--optional-object-attributes", "RestoreStatus"}
		u.ok(`"IsRestoreInProgress": true`, "aws", list...)
		u.advance(5 * time.Minute)
		out := u.ok(`"IsRestoreInProgress": false`, "aws", list...)
		if !strings.Contains(out, `"IsRestoreInProgress": true`) || !strings.Contains(out, "RestoreExpiryDate") || !strings.Contains(out, `"StorageClass": "DEEP_ARCHIVE"`) {
			u.t.Errorf("listed %s", out)
		}
		u.advance(12 * time.Hour)
		u.ok(`ongoing-request=\"false\"`, "aws", api("head-object", "large")...)
		u.ok("", "aws", "s3", "cp", at, "back", "--recursive", "--force-glacier-transfer")
		u.same("back/small", small)
		u.same("back/large", large)
		u.ok("", "aws", "s3", "cp", at+"large", at+"copy", "--force-glacier-transfer", "--storage-class", "GLACIER_IR")
		u.ok(`"StorageClass": "GLACIER_IR"`, "aws", api("head-object", "copy")...)
		u.advance(4 * 24 * time.Hour)
		u.fails("InvalidObjectState", "aws", "s3", "cp", at+"small", "again", "--force-glacier-transfer")
		u.ok("", "aws", "s3", "rm", at, "--recursive")
		if seen := u.requests(); seen["RestoreObject 202"] != 3 || seen["RestoreObject 409"] != 1 || seen["CompleteMultipartUpload 200"] != 2 {
			u.t.Errorf("%v", seen)
		}
	})
}

// TestLabRclone: rclone's commands for frozen objects work on it.
func TestLabRclone(t *testing.T) {
	storagetest.Program(t, "rclone")
	inLabs(t, func(u *labUser) {
		small, large := u.contents()
		at := "lab:" + u.end.Bucket + "/d"
		u.ok("", "rclone", "copyto", "small", at+"/small", "--s3-storage-class", "GLACIER")
		u.ok("", "rclone", "copyto", "large", at+"/large", "--s3-storage-class", "DEEP_ARCHIVE")
		u.fails("restore first", "rclone", "copyto", at+"/small", "back/small")
		restore := []string{"backend", "restore", at, "-o", "priority=Standard", "-o", "lifetime=2"}
		status := func(want ...string) {
			u.t.Helper()
			var list []struct {
				Remote, StorageClass string
				RestoreStatus        struct {
					IsRestoreInProgress bool
					RestoreExpiryDate   *time.Time
				}
			}
			_, out := u.run("rclone", "backend", "restore-status", at)
			if i := strings.Index(out, "["); i > 0 {
				out = out[i:] // what comes before is a notice that the lab's clock is another
			}
			if err := json.Unmarshal([]byte(out), &list); err != nil {
				u.t.Fatalf("%s: %v", out, err)
			}
			var got []string
			for _, o := range list {
				got = append(got, fmt.Sprint(o.Remote, " ", o.StorageClass, " ", o.RestoreStatus.IsRestoreInProgress, " ", o.RestoreStatus.RestoreExpiryDate != nil))
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				u.t.Errorf("status %q, want %q", got, want)
			}
		}
		out := u.ok(`"Status": "OK"`, "rclone", restore...)
		if strings.Count(out, `"OK"`) != 2 {
			u.t.Errorf("restore said %s", out)
		}
		status("large DEEP_ARCHIVE true false", "small GLACIER true false")
		u.ok("RestoreAlreadyInProgress", "rclone", restore...) // it says so in its list, and succeeds
		u.advance(5 * time.Hour)
		status("large DEEP_ARCHIVE true false", "small GLACIER false true")
		u.advance(7 * time.Hour)
		status("large DEEP_ARCHIVE false true", "small GLACIER false true")
		u.ok("", "rclone", "copy", at, "back")
		u.same("back/small", small)
		u.same("back/large", large)
		u.advance(4 * 24 * time.Hour)
		status()
		u.fails("restore first", "rclone", "copyto", at+"/small", "again")
		u.ok("", "rclone", "delete", at)
		u.ok("", "rclone", "lsf", "lab:"+u.end.Bucket)
	})
}
