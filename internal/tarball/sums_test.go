package tarball

import (
	"bytes"
	"crypto/md5"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// names of files that programs stumble over, sorted by their bytes.
var oddNames = []string{
	"\x01\x1b[31m", " leading", "\"double\" & 'single'", "#hash", "$HOME `id`", "*", "--version", "-n", "a b", "a\\b", "a\\nb",
	"a\rb", "end\r", "back\\", "caf\xe9", "tab\there", "trailing ", "{}", "~", "é", "日本",
}

func init() { slices.Sort(oddNames) }

// TestSumLine compares the hash with md5sum itself.
func TestSumLine(t *testing.T) {
	program, err := exec.LookPath("md5sum")
	if err != nil {
		t.Skip("md5sum is not installed")
	}
	dir := t.TempDir()
	h := NewHasher()
	var old bytes.Buffer
	for i, name := range oddNames {
		data := []byte(strings.Repeat(name, i))
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		h.Add(name, md5.Sum(data))
		old.Write(AppendSumLine(nil, md5.Sum(data), name, false))
	}
	cmd := exec.Command(program, append([]string{"--"}, oddNames...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := MD5(md5.Sum(out)); !h.Is(want) {
		t.Errorf("%s, want %s of\n%s", h.Sum(), want, out)
	}
	if !h.Is(md5.Sum(old.Bytes())) {
		t.Error("what an older md5sum prints is not known")
	}
	if h.Is(MD5{}) {
		t.Error("anything is the hash")
	}
}

func TestSumContent(t *testing.T) {
	m := MD5(md5.Sum([]byte("x")))
	for text, ok := range map[string]bool{
		string(FormatSum(m)): true, m.String(): true, "": false, "\n": false, m.String() + "  -\n": false,
		strings.ToUpper(m.String()): false, m.String()[1:] + "g\n": false,
	} {
		got, err := ParseSum([]byte(text))
		if (err == nil) != ok || ok && got != m {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	var b []byte
	for _, name := range oddNames {
		b = AppendName(b, name)
	}
	var got []string
	for name, err := range Names(bytes.NewReader(b)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if !slices.Equal(got, oddNames) {
		t.Errorf("%q", got)
	}
	for name, err := range Names(strings.NewReader("\n")) {
		t.Errorf("an empty list has %q, %v", name, err)
	}
	var last error
	for _, err := range Names(strings.NewReader(strings.Repeat("x", maxName+1))) {
		last = err
	}
	if last == nil {
		t.Error("a name without end is taken")
	}
}
