package repo_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// section returns the commands between two marks of RECOVERY.txt.
func section(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "#begin "+name+"\n")
	commands, _, end := strings.Cut(rest, "#end "+name+"\n")
	if !ok || !end {
		t.Fatalf("no section %s", name)
	}
	return commands
}

func recovery(t *testing.T) string {
	t.Helper()
	s := storagetest.NewMemory()
	if _, err := repo.Create(t.Context(), s, repo.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return string(s.Bytes("RECOVERY.txt"))
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// TestRecoveryOfGolden runs the commands for one snapshot over the golden
// repositories.
func TestRecoveryOfGolden(t *testing.T) {
	needs(t, "bash", "tar", "zstd", "age", "jq", "sha256sum", "tac", "setfattr")
	text := recovery(t)
	for _, kind := range []string{"plain", "age"} {
		t.Run(kind, func(t *testing.T) {
			dir, err := filepath.Abs(filepath.Join("testdata", "golden", kind))
			if err != nil {
				t.Fatal(err)
			}
			target := t.TempDir()
			var script strings.Builder
			for _, name := range []string{"setup", "choose", "plan", "needed", "restore", "check"} {
				script.WriteString(section(t, text, name))
			}
			cmd := exec.Command("bash", "-c", script.String())
			cmd.Env = append(os.Environ(), "REPO="+dir, "TARGET="+target, "WORK="+t.TempDir(), "IDENTITY="+dir+".identity.txt")
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v\n%s", err, out)
			}
			if data, err := os.ReadFile(filepath.Join(target, "Pictures/2010/caf\xe9")); err != nil || string(data) != "café\n" {
				t.Errorf("%q, %v", data, err)
			}
			if info, err := os.Stat(filepath.Join(target, "Pictures/2010/joined")); err != nil || info.Size() != 4006 || info.ModTime().Nanosecond() != 5e8 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

// TestRecoveryPlanRefuses: no line of a tree or an index becomes a command of
// its own, or one that leaves the target by its name.
func TestRecoveryPlanRefuses(t *testing.T) {
	needs(t, "jq")
	_, plan, _ := strings.Cut(section(t, recovery(t), "plan"), "<<'JQ'\n")
	plan, _, _ = strings.Cut(plan, "\nJQ\n")
	file := filepath.Join(t.TempDir(), "plan.jq")
	if err := os.WriteFile(file, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(line string) (string, error) {
		cmd := exec.Command("jq", "-rnf", file)
		cmd.Stdin = strings.NewReader(line)
		var out bytes.Buffer
		cmd.Stdout = &out
		err := cmd.Run()
		return out.String(), err
	}
	const entry = `{"path":"s/a","type":"dir","mode":"0755","uid":1,"mtime":"-1.500000000","xattrs":{"user.a'b":"QQ=="}}`
	if out, err := run(entry); err != nil || !strings.Contains(out, "mkdir -p ./'s/a'") {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, line := range map[string]string{
		"raw quote": `{"path":"s/a","path_raw":"s/'; id #","type":"dir","mode":"0755"}`, "raw line": `{"path":"s/a","path_raw":"s/a\n9 id","type":"dir","mode":"0755"}`,
		"raw backslash": `{"path":"s/a","path_raw":"s/a\\","type":"dir","mode":"0755"}`, "raw hex": `{"path":"s/a","path_raw":"s/\\x27","type":"dir","mode":"0755"}`,
		"raw dots": `{"path":"s/a","path_raw":"s/\\056\\056/x","type":"dir","mode":"0755"}`, "dots": `{"path":"../a","type":"dir","mode":"0755"}`, "absolute": `{"path":"/a","type":"dir","mode":"0755"}`,
		"mode": `{"path":"s/a","type":"dir","mode":"0755; id"}`, "mode line": `{"path":"s/a","type":"dir","mode":"0755\nid"}`, "time": `{"path":"s/a","type":"dir","mode":"0755","mtime":"1 $(id)"}`,
		"owner": `{"path":"s/a","type":"dir","mode":"0755","uid":"0 / ; id"}`, "xattr": `{"path":"s/a","type":"dir","mode":"0755","xattrs":{"user.a":"$(id)"}}`,
		"device": `{"path":"s/a","type":"char","mode":"0755","device":["1;id",2]}`, "target": `{"path":"s/a","type":"symlink","mode":"0777","target":"x","target_raw":"x'$(id)'"}`,
		"archive":      `{"type":"archive","archive":"$(id)"}`,
		"content path": `{"type":"archive","archive":"x"}` + "\n" + `{"type":"content","content":"c","path":"../../x"}`,
		"extent":       `{"path":"s/a","type":"file","mode":"0644","content":"c","extents":[["c",0,"1; id"]]}`,
	} {
		if out, err := run(line); err == nil {
			t.Errorf("%s becomes\n%s", name, out)
		}
	}
}
