package machine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-backup/tarn/internal/machine"
)

func TestSettings(t *testing.T) {
	d := machine.Dirs{Config: filepath.Join(t.TempDir(), "tarn")}
	if s, err := d.Settings(); err != nil || s.Repository != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	for i, name := range []string{"s3://a/b", "s3://c/d"} {
		err := d.ChangeSettings(func(s *machine.Settings) {
			s.Repository = name
			s.Storages[name] = machine.Access{Profile: "p", Region: "r"}
		})
		s, readErr := d.Settings()
		if err != nil || readErr != nil || s.Repository != name || len(s.Storages) != i+1 || s.Storages[name].Profile != "p" {
			t.Errorf("%+v, %v, %v", s, err, readErr)
		}
	}
	if info, err := os.Stat(d.SettingsPath()); err != nil || info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(d.SettingsPath(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Settings(); err == nil || !strings.Contains(err.Error(), d.SettingsPath()) {
		t.Errorf("damaged settings: %v", err)
	}
}

// TestCredentials: the lines of the profile are replaced, and nothing else in a file
// that is the user's.
func TestCredentials(t *testing.T) {
	const lines = "aws_access_key_id = NEW\naws_secret_access_key = s3cr3t\nregion = eu-west-1\n"
	const ours = "[tarn]\n# made by tarn cloud\n" + lines
	for name, test := range map[string]struct{ before, key, after, removed string }{
		"none":       {"", "", ours, ""},
		"others":     {"[default]\naws_access_key_id = A\n", "", "[default]\naws_access_key_id = A\n" + ours, "[default]\naws_access_key_id = A\n"},
		"no newline": {"[default]\na = b", "", "[default]\na = b\n" + ours, "[default]\na = b\n"},
		"between": {"# mine\n[a]\nx = 1\n[tarn]\naws_access_key_id=OLD\n\n[tarn-2]\ny = 2\n", "OLD",
			"# mine\n[a]\nx = 1\n[tarn]\n" + lines + "\n[tarn-2]\ny = 2\n", "# mine\n[a]\nx = 1\n\n[tarn-2]\ny = 2\n"},
		"last": {"[a]\n[ tarn ] ; mine\n  aws_access_key_id = OLD\n", "OLD",
			"[a]\n[ tarn ] ; mine\n  aws_access_key_id = NEW\n  aws_secret_access_key = s3cr3t\n  region = eu-west-1\n", "[a]\n"},
		"longer name": {"[tarn2]\naws_access_key_id = X\n", "", "[tarn2]\naws_access_key_id = X\n" + ours, "[tarn2]\naws_access_key_id = X\n"},
		"a comment of the next": {"[tarn]\n# made by tarn cloud\naws_access_key_id = OLD\naws_secret_access_key = old\nregion = eu-west-1\n\n# of work\n[work]\nx = 1\n", "OLD",
			ours + "\n# of work\n[work]\nx = 1\n", "\n# of work\n[work]\nx = 1\n"},
		"settings of the user's": {"[tarn]\n# made by tarn cloud\nregion = eu-west-1\nAWS_ACCESS_KEY_ID = OLD\ns3 =\n  region = no\n  max_concurrent_requests = 2\naws_secret_access_key = old\nca_bundle = /my.pem\n[work]\n", "OLD",
			"[tarn]\n# made by tarn cloud\nregion = eu-west-1\naws_access_key_id = NEW\ns3 =\n  region = no\n  max_concurrent_requests = 2\naws_secret_access_key = s3cr3t\nca_bundle = /my.pem\n[work]\n",
			"[tarn]\ns3 =\n  region = no\n  max_concurrent_requests = 2\nca_bundle = /my.pem\n[work]\n"},
		"continued": {"[o]\n[tarn]\naws_access_key_id = OLD\n  max = 2\nregion = x\n", "OLD",
			"[o]\n[tarn]\naws_access_key_id = NEW\n  max = 2\nregion = eu-west-1\naws_secret_access_key = s3cr3t\n", "[o]\n"},
		"indented and not": {"[tarn]\n  region = x\naws_access_key_id = OLD\n", "OLD",
			"[tarn]\n  region = eu-west-1\naws_access_key_id = NEW\naws_secret_access_key = s3cr3t\n", ""},
		"of Windows": {"\ufeff[tarn]\r\naws_access_key_id = OLD\r\naws_secret_access_key = old\r\nregion = x\r\nx = 1\r\n", "OLD",
			"\ufeff[tarn]\r\naws_access_key_id = NEW\r\naws_secret_access_key = s3cr3t\r\nregion = eu-west-1\r\nx = 1\r\n", "\ufeff[tarn]\r\nx = 1\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), ".aws", "credentials")
			if test.before != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(test.before), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			c := machine.Credentials(path)
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			if key, err := c.AccessKey("tarn"); key != test.key || err != nil {
				t.Errorf("%q, %v", key, err)
			}
			holds := func(want string) {
				t.Helper()
				got, err := os.ReadFile(path)
				if err != nil || string(got) != want {
					t.Errorf("%v\n%s\nwant\n%s", err, got, want)
				}
			}
			for range 2 {
				if err := c.Save(machine.Profile{Name: "tarn", AccessKey: "NEW", Secret: "s3cr3t", Region: "eu-west-1"}, test.key); err != nil {
					t.Fatal(err)
				}
				holds(test.after)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			for range 2 {
				if err := c.Remove("tarn", "NEW"); err != nil {
					t.Fatal(err)
				}
				holds(test.removed)
			}
			if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
				t.Errorf("left behind: %v, %v", list, err)
			}
		})
	}
}

// TestCredentialsElsewhere: a link to the file stays a link, and what is no file
// is refused before a key is made.
func TestCredentialsElsewhere(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, []byte("[a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	if err := machine.Credentials(link).Save(machine.Profile{Name: "b"}, ""); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(real)
	if info, lerr := os.Lstat(link); err != nil || lerr != nil || info.Mode()&os.ModeSymlink == 0 || !strings.HasPrefix(string(got), "[a]\n[b]\n") {
		t.Errorf("%v, %v, %q", err, lerr, got)
	}
	for _, path := range []string{dir, filepath.Join(real, "x")} {
		if err := machine.Credentials(path).Check(); err == nil {
			t.Errorf("%s can be written", path)
		}
	}
}

// TestCredentialsOfOthers: a profile with another key than the one that goes is
// left as it is, and so is a file in which it stands twice.
func TestCredentialsOfOthers(t *testing.T) {
	for text, want := range map[string]error{
		"[tarn]\naws_access_key_id = THEIRS\naws_secret_access_key = only\n":         machine.ErrNotOurs,
		"[tarn]\naws_access_key_id = OLD\n[a]\n[tarn]\naws_access_key_id = THEIRS\n": machine.ErrTwice,
	} {
		path := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := machine.Credentials(path)
		if err := c.Save(machine.Profile{Name: "tarn", AccessKey: "NEW"}, "OLD"); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
		if err := c.Remove("tarn", "OLD"); err != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%v, %q instead of %q", err, got, text)
		}
	}
}

// TestCredentialsDangling: a link to a file that is not there yet stays a link, and
// the file is made where it points.
func TestCredentialsDangling(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "credentials")
	if err := os.Symlink(filepath.Join("dot", "aws"), link); err != nil {
		t.Skip(err)
	}
	c := machine.Credentials(link)
	if err := errors.Join(c.Check(), c.Save(machine.Profile{Name: "b", AccessKey: "K"}, "")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if got, rerr := os.ReadFile(filepath.Join(dir, "dot", "aws")); err != nil || rerr != nil || info.Mode()&os.ModeSymlink == 0 || !strings.HasPrefix(string(got), "[b]\n") {
		t.Errorf("%v, %v, %q", err, rerr, got)
	}
}

// TestConfigured: a profile that the configuration speaks of is known, and the
// same words in the credentials are none.
func TestConfigured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("[profile  mine]\nrole_arn = x\n[other]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"mine": true, "other": false, "absent": false} {
		if got, err := machine.Configured(func(string) string { return path }, name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestSettingsOfOthers: what a newer version has put into the settings stays, what
// is deleted goes, and a link to the file stays one.
func TestSettingsOfOthers(t *testing.T) {
	d := machine.Dirs{Config: filepath.Join(t.TempDir(), "tarn")}
	real := filepath.Join(d.Config, "real", "config.json")
	if err := os.MkdirAll(filepath.Dir(real), 0o700); err != nil {
		t.Fatal(err)
	}
	const before = `{"big": 12345678901234567890, "later": {"a": [1]}, "storages": {"s3://x/y": {"aws_profile": "p", "unknown": true}, "s3://z": {"aws_profile": "q"}}, "new_keys": {"u": {"begun": "2026-01-02T03:04:05Z"}}}`
	if err := os.WriteFile(real, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("real", "config.json"), d.SettingsPath()); err != nil {
		t.Skip(err)
	}
	err := d.ChangeSettings(func(s *machine.Settings) {
		s.Storages["s3://x/y"] = machine.Access{Region: "r"}
		delete(s.Storages, "s3://z")
		delete(s.NewKeys, "u")
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"big":12345678901234567890,"later":{"a":[1]},"storages":{"s3://x/y":{"aws_region":"r","unknown":true}}}`
	var got bytes.Buffer
	data, err := os.ReadFile(real)
	if compacts := json.Compact(&got, data); err != nil || compacts != nil || got.String() != want {
		t.Errorf("%v, %v\n%s\nwant\n%s", err, compacts, got.String(), want)
	}
	if info, err := os.Lstat(d.SettingsPath()); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
}

// TestSettingsAtOnce: of what several runs write at once nothing is lost.
func TestSettingsAtOnce(t *testing.T) {
	d := machine.Dirs{Config: filepath.Join(t.TempDir(), "tarn")}
	c := machine.Credentials(filepath.Join(t.TempDir(), "credentials"))
	const runs = 20
	var group sync.WaitGroup
	for i := range runs {
		group.Go(func() {
			name := fmt.Sprint("p", i)
			err := d.ChangeSettings(func(s *machine.Settings) { s.Storages[name] = machine.Access{Profile: name} })
			if err := errors.Join(err, d.Exclusively(func() error { return c.Save(machine.Profile{Name: name, AccessKey: name}, "") })); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s, err := d.Settings()
	if err != nil || len(s.Storages) != runs {
		t.Errorf("%d storages instead of %d, %v", len(s.Storages), runs, err)
	}
	for name := range s.Storages {
		if key, err := c.AccessKey(name); key != name || err != nil {
			t.Errorf("%s has the key %q, %v", name, key, err)
		}
	}
}
