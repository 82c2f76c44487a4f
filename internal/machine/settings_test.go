package machine_test

import (
	"os"
	"path/filepath"
	"strings"
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

// TestCredentials: the profile is replaced, and nothing else in a file that is
// the user's.
func TestCredentials(t *testing.T) {
	ours := "[tarn]\n# made by tarn cloud\naws_access_key_id = NEW\naws_secret_access_key = s3cr3t\nregion = eu-west-1\n"
	for name, test := range map[string]struct{ before, key, after, removed string }{
		"none":       {"", "", ours, ""},
		"others":     {"[default]\naws_access_key_id = A\n", "", "[default]\naws_access_key_id = A\n" + ours, "[default]\naws_access_key_id = A\n"},
		"no newline": {"[default]\na = b", "", "[default]\na = b\n" + ours, "[default]\na = b\n"},
		"between": {"# mine\n[a]\nx = 1\n[tarn]\naws_access_key_id=OLD\n\n[tarn-2]\ny = 2\n", "OLD",
			"# mine\n[a]\nx = 1\n" + ours + "[tarn-2]\ny = 2\n", "# mine\n[a]\nx = 1\n[tarn-2]\ny = 2\n"},
		"last":        {"[a]\n[ tarn ] ; mine\n  aws_access_key_id = OLD\n", "OLD", "[a]\n" + ours, "[a]\n"},
		"longer name": {"[tarn2]\naws_access_key_id = X\n", "", "[tarn2]\naws_access_key_id = X\n" + ours, "[tarn2]\naws_access_key_id = X\n"},
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
				if err := c.Save(machine.Profile{Name: "tarn", AccessKey: "NEW", Secret: "s3cr3t", Region: "eu-west-1"}); err != nil {
					t.Fatal(err)
				}
				holds(test.after)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			for range 2 {
				if err := c.Remove("tarn"); err != nil {
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
	if err := machine.Credentials(link).Save(machine.Profile{Name: "b"}); err != nil {
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
