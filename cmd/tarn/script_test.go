package main

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"github.com/tarn-backup/tarn/internal/e2e"
)

// scriptCode runs a program and compares its exit code: code 3 tarn backup x
func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: code NUMBER PROGRAM [ARG]...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// scriptJSON requires that each line of a file is a JSON document and that at
// least one has all the given values: json stdout type=summary list.0.name=x
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: json FILE [MEMBER[.MEMBER]=VALUE]...")
	}
	lines := 0
	found := false
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var doc map[string]any
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil || !strings.HasSuffix(line, "}\n") {
			ts.Fatalf("line %q is no JSON document: %v", line, err)
		}
		lines++
		found = found || !slices.ContainsFunc(args[1:], func(want string) bool { return !holds(doc, want) })
	}
	if lines == 0 {
		ts.Fatalf("no line")
	}
	if found == neg {
		ts.Fatalf("a line with %v: %v", args[1:], found)
	}
}

func holds(doc map[string]any, want string) bool {
	path, value, _ := strings.Cut(want, "=")
	var at any = doc
	for part := range strings.SplitSeq(path, ".") {
		if list, ok := at.([]any); ok {
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(list) {
				return err == nil && value == ""
			}
			at = list[i]
			continue
		}
		m, ok := at.(map[string]any)
		if !ok {
			return false
		}
		if at, ok = m[part]; !ok {
			return value == ""
		}
	}
	return fmt.Sprint(at) == value
}

// scriptObjects counts the files in a part of a repository: objects 2 repo/archives
func scriptObjects(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: objects NUMBER FOLDER")
	}
	n := 0
	err := filepath.WalkDir(ts.MkAbs(args[1]), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d objects, want %s", n, args[0])
	}
}

// scriptMode compares permission bits: mode 0600 FILE
func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("mode %s, want %s", got, args[0])
	}
}

// scriptOdd writes a file whose name, given as a Go string literal, no script
// could say: odd src/"\x1b[2J\n" content
func scriptOdd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: odd NAME CONTENT")
	}
	name, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name), []byte(args[1]), 0o644))
}

// What differs from run to run in what the program prints, and what stands for it.
var varying = []struct {
	re *regexp.Regexp
	is string
}{
	{regexp.MustCompile(`\b\d{8}T\d{6}Z-[0-9a-f]{16}\b`), "ID"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`\bage1[0-9a-z]{58}\b`), "RECIPIENT"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "REPOSITORY"},
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "HALF"},
	{regexp.MustCompile(`\b[0-9a-f]{8}\b`), "SHORT"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(µs|ms|s)\b`), "DURATION"},
	{regexp.MustCompile(`(?m)^([-dlpscb][-rwxsStT]{9}) +\S+ +\S+ +`), "$1 USER GROUP "},
	{regexp.MustCompile(` +`), " "},
}

// scriptPlain writes a copy of a file in which ids, times and the work folder
// are replaced, for cmp: plain stdout out
func scriptPlain(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: plain FILE COPY")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "$WORK")
	for _, v := range varying {
		text = v.re.ReplaceAllString(text, v.is)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// scriptSSHKey makes an SSH key pair, the second file with .pub: sshkey FILE
func scriptSSHKey(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: sshkey FILE")
	}
	public, private, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	block, err := ssh.MarshalPrivateKey(private, "made by a test")
	ts.Check(err)
	key, err := ssh.NewPublicKey(public)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(block), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), ssh.MarshalAuthorizedKey(key), 0o644))
}

// scriptAgeKey makes an age identity, its recipient in a file with .pub.
func scriptAgeKey(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: agekey FILE")
	}
	id, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(id.String()+"\n"), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), []byte(id.Recipient().String()+"\n"), 0o644))
}

// scriptSetenv sets a variable to what a pattern's group, or all of it, matches
// in a file: setenv KEY FILE '"key":"([^"]*)"'
func scriptSetenv(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || neg {
		ts.Fatalf("usage: setenv NAME FILE PATTERN")
	}
	m := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if m == nil {
		ts.Fatalf("%s does not match %s", args[1], args[2])
	}
	ts.Setenv(args[0], m[len(m)-1])
}

// scriptSame requires that two folders hold the same: same A B
func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same A B")
	}
	want, err := e2e.LookAt(ts.MkAbs(args[0]))
	ts.Check(err)
	got, err := e2e.LookAt(ts.MkAbs(args[1]))
	ts.Check(err)
	diff := e2e.Diff(want, got)
	if neg && len(diff) == 0 {
		ts.Fatalf("they are the same")
	}
	if !neg && len(diff) > 0 {
		ts.Fatalf("they differ:\n%s", strings.Join(diff, "\n"))
	}
}
