package machine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
)

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// opens reports whether one of the identities opens what is encrypted to r.
func opens(t *testing.T, r age.Recipient, ids []age.Identity) bool {
	t.Helper()
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = age.Decrypt(&buf, ids...)
	return err == nil
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identities", "r.txt")
	first, second := newIdentity(t), newIdentity(t)
	for i, id := range []*age.X25519Identity{first, second} {
		if err := SaveIdentity(path, id, "0001", []string{"aa", "bb"}[i], "2026-11-23"); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	ids, fingerprints, err := LoadIdentities(path, Ask{})
	if err != nil || len(ids) != 2 || !opens(t, first.Recipient(), ids[1:]) || !opens(t, second.Recipient(), ids[:1]) {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The newest comes first, and is what both ways of reading give.
	if got := KeyComment(data, "0001"); got != "bb" || fingerprints["0001"] != got {
		t.Errorf("the comment names %q, the loaded file %q; want bb", got, fingerprints["0001"])
	}
	if got := KeyComment(data, "000"); got != "" {
		t.Errorf("a repository whose id begins so has the key %q", got)
	}
}

func TestKindsOfIdentities(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	id := newIdentity(t)
	plain := []byte("# comment\r\n\r\n# tarn key: r f\r\n  " + id.String() + "  \r\n")
	scrypt, err := age.NewScryptRecipient("pass")
	if err != nil {
		t.Fatal(err)
	}
	scrypt.SetWorkFactor(10)
	seal := func(armored bool) []byte {
		var buf bytes.Buffer
		a := armor.NewWriter(&buf)
		dst := any(&buf)
		if armored {
			dst = a
		}
		w, err := age.Encrypt(dst.(interface{ Write([]byte) (int, error) }), scrypt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if armored {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return buf.Bytes()
	}
	ask := Ask{Passphrase: func(string) ([]byte, error) { return []byte("pass"), nil }}
	for name, data := range map[string][]byte{"plain": plain, "sealed": seal(false), "armored": seal(true)} {
		path := write(name, data)
		ids, fingerprints, err := LoadIdentities(path, ask)
		if err != nil || len(ids) != 1 || !opens(t, id.Recipient(), ids) || fingerprints["r"] != "f" {
			t.Errorf("%s: %d identities, %v, %v", name, len(ids), fingerprints, err)
		}
		if name == "plain" {
			continue
		}
		if _, _, err := LoadIdentities(path, Ask{}); err == nil {
			t.Errorf("%s: opened without its passphrase", name)
		}
		wrong := Ask{Passphrase: func(string) ([]byte, error) { return []byte("wrong"), nil }}
		if _, _, err := LoadIdentities(path, wrong); err == nil {
			t.Errorf("%s: opened by a wrong passphrase", name)
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	open, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"ssh": open, "ssh locked": locked} {
		if ids, _, err := LoadIdentities(write(name, pem.EncodeToMemory(block)), ask); err != nil || len(ids) != 1 {
			t.Errorf("%s: %d identities, %v", name, len(ids), err)
		}
	}
	if _, _, err := LoadIdentities(write("ssh locked", pem.EncodeToMemory(locked)), Ask{}); err == nil {
		t.Error("a locked SSH key was loaded without its passphrase")
	}
}

// TestBadIdentities: an error says where, and never what: the line is a secret.
func TestBadIdentities(t *testing.T) {
	good := newIdentity(t).String()
	for name, text := range map[string]string{
		"empty": "", "comments": "# a\n", "typo": good[:30] + "Q" + good[31:] + "\n", "cut": good[:40] + "\n", "two on a line": good + " " + good + "\n",
		"a recipient": newIdentity(t).Recipient().String() + "\n", "long line": strings.Repeat("x", 100_000) + "\n", "plugin": "AGE-PLUGIN-\n", "PEM": "-----BEGIN NOTHING-----\n",
	} {
		path := filepath.Join(t.TempDir(), "id.txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ids, _, err := LoadIdentities(path, Ask{})
		if err == nil {
			t.Errorf("%s: %d identities", name, len(ids))
		} else if strings.Contains(err.Error(), good[16:30]) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := LoadIdentities(filepath.Join(t.TempDir(), "absent"), Ask{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

// TestIdentityFileOfOthers: an identity is added to what holds identities, and
// to nothing that it would destroy.
func TestIdentityFileOfOthers(t *testing.T) {
	id := newIdentity(t)
	for name, test := range map[string]struct {
		text string
		good bool
	}{
		"empty": {"\n", true}, "age": {"# mine\n" + newIdentity(t).String() + "\n", true},
		"SSH": {"-----BEGIN OPENSSH PRIVATE KEY-----\n", false}, "picture": {"\xff\xd8\xff\x00", false}, "sealed": {"age-encryption.org/v1\n", false},
	} {
		path := filepath.Join(t.TempDir(), "id.txt")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CheckIdentityFile(path); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
		err := SaveIdentity(path, id, "0001", "aa", "2026-11-23")
		data, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if (err == nil) != test.good || !strings.HasSuffix(string(data), test.text) || !test.good && string(data) != test.text {
			t.Errorf("%s: %v, %q", name, err, data)
		}
	}
	if err := CheckIdentityFile(t.TempDir()); err == nil {
		t.Error("a folder")
	}
	if err := CheckIdentityFile(filepath.Join(t.TempDir(), "new")); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestRecords(t *testing.T) {
	d := Dirs{Config: t.TempDir()}
	if r, err := d.Recall("/backup"); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	want := Record{Location: "/backup", ID: "0001", Key: bytes.Repeat([]byte{7}, 32)}
	for range 2 {
		if err := d.Remember(want); err != nil {
			t.Fatal(err)
		}
	}
	r, err := d.Recall("/backup")
	if err != nil || r.ID != want.ID || !bytes.Equal(r.Key, want.Key) {
		t.Errorf("%+v, %v", r, err)
	}
	if info, err := os.Stat(d.RecordPath("/backup")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if r, err := d.Recall("/other"); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	for _, text := range []string{"", "x", `{"location":"/other"}`, "null", `{"location":"/backup","id":"0001","key":"AAAA"}`} {
		if err := os.WriteFile(d.RecordPath("/backup"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := d.Recall("/backup"); err == nil {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

func TestUserDirs(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	env := map[string]string{}
	d, err := UserDirs(func(k string) string { return env[k] })
	if err != nil {
		t.Skip(err)
	}
	for _, p := range []string{d.Config, d.Cache, d.Data, d.DefaultRepository(), d.Catalog("r"), d.Identity("r")} {
		if !filepath.IsAbs(p) {
			t.Errorf("%q is not absolute", p)
		}
	}
	env["XDG_DATA_HOME"] = "relative"
	if again, err := UserDirs(func(k string) string { return env[k] }); err != nil || again != d {
		t.Errorf("a relative XDG_DATA_HOME counts: %+v, %v", again, err)
	}
	env["XDG_DATA_HOME"] = home
	if again, err := UserDirs(func(k string) string { return env[k] }); err != nil || again.Data != filepath.Join(home, "tarn") {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestDrill: what drills have proven is kept for each repository, and for its owner alone.
func TestDrill(t *testing.T) {
	d := Dirs{Config: filepath.Join(t.TempDir(), "tarn")}
	if data, err := d.Drill("a"); data != nil || err != nil {
		t.Errorf("before: %q, %v", data, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := d.KeepDrill("a", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := d.Drill("a"); string(data) != text || err != nil {
			t.Errorf("kept %q: %q, %v", text, data, err)
		}
	}
	if data, err := d.Drill("b"); data != nil || err != nil {
		t.Errorf("of another repository: %q, %v", data, err)
	}
	if info, err := os.Stat(d.DrillPath("a")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func FuzzIdentities(f *testing.F) {
	id := newIdentity(f).String()
	f.Add([]byte("# tarn key: 0001 abcd\n" + id + "\n"))
	f.Add([]byte("AGE-PLUGIN-X-1QQQQ\n"))
	f.Add([]byte("# tarn key: a\n# tarn key:  b\n\r\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, fingerprints, err := parseIdentities("path", data, Ask{})
		if (err == nil) != (len(ids) > 0) {
			t.Errorf("%q: %d identities, %v", data, len(ids), err)
		}
		if err != nil {
			return
		}
		for repository, fingerprint := range fingerprints {
			if got := KeyComment(data, repository); got != fingerprint {
				t.Errorf("%q: key of %q: the comment %q, the loaded file %q", data, repository, got, fingerprint)
			}
		}
	})
}
