package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage/local"
)

// recoveryTools is all that RECOVERY.txt may ask for: bash, coreutils, and what it says.
var recoveryTools = []string{
	"bash", "age", "zstd", "tar", "jq", "setfattr", "find", "sed", "grep",
	"cat", "chmod", "chown", "cp", "cut", "head", "id", "ln", "ls", "mkdir", "mkfifo", "mknod", "mv", "basename", "realpath", "sha256sum", "sort", "tac", "tail", "touch",
}

// recovery plays a person who has the repository, the identity and a plain
// machine, but no tarn.
type recovery struct {
	*person
	repo     string
	identity string
	tools    string // folder
}

func newRecovery(p *person, repository string) *recovery {
	p.t.Helper()
	r := &recovery{person: p, repo: repository, identity: p.path("no identity"), tools: p.path("tools")}
	p.need(os.MkdirAll(r.tools, 0o755))
	for _, name := range recoveryTools {
		path, err := exec.LookPath(name)
		p.need(err)
		if err := os.Symlink(path, filepath.Join(r.tools, name)); err != nil && !os.IsExist(err) {
			p.t.Fatal(err)
		}
	}
	list, err := filepath.Glob(p.path("home/config/tarn/identities/*.txt"))
	p.need(err)
	if len(list) > 0 {
		r.identity = list[0]
	}
	return r
}

// need ends the test if something around it fails.
func (p *person) need(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// follow runs the blocks of the repository's own RECOVERY.txt in bash.
func (r *recovery) follow(target, snapshot string, blocks ...string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.repo, "RECOVERY.txt"))
	r.need(err)
	var script strings.Builder
	for _, name := range blocks {
		_, rest, ok := strings.Cut(string(text), "#begin "+name+"\n")
		block, _, end := strings.Cut(rest, "#end "+name+"\n")
		if !ok || !end {
			r.t.Fatalf("RECOVERY.txt has no block %s", name)
		}
		script.WriteString(block)
	}
	cmd := exec.CommandContext(r.t.Context(), "bash", "-c", script.String())
	cmd.Dir = r.dir
	// Relative, as a person may write them.
	cmd.Env = []string{
		"PATH=" + r.tools, "HOME=" + r.path("home"), "REPO=" + r.repo, "TARGET=" + filepath.Base(target), "WORK=" + filepath.Base(target) + " work",
		"IDENTITY=" + r.identity, "SNAPSHOT=" + snapshot, "LC_ALL=C.UTF-8",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Errorf("%v", err)
	}
	for line := range strings.Lines(string(out)) {
		r.t.Errorf("%.300s", line)
	}
}

// stage is a folder as it was when a snapshot was made.
type stage struct{ snapshot, copy string }

// backupStage backs the folder up and keeps a copy of it.
func (r *recovery) backupStage(source string, n int) stage {
	r.t.Helper()
	r.must("backup", "-r", r.repo, "--archive-size", "2MiB", source)
	s := stage{copy: r.path(fmt.Sprint("stage", n))}
	out, err := exec.Command("rsync", "-aHAXS", "--modify-window=-1", source+"/", s.copy+"/").CombinedOutput()
	if err != nil {
		r.t.Fatalf("copying: %v\n%s", err, out)
	}
	list, err := os.ReadDir(filepath.Join(r.repo, "snapshots"))
	r.need(err)
	s.snapshot = list[len(list)-1].Name() // sorted
	return s
}

// changeTree does to the folder of oddTree what people do to folders.
func changeTree(t *testing.T, dir string, n int) {
	t.Helper()
	b := &builder{t: t, dir: dir, rng: newRandom(byte(n))}
	move := func(from, to string) { b.mkdir(filepath.Dir(b.path(to))); b.check(os.Rename(b.path(from), b.path(to))) }
	switch n {
	case 1:
		b.file("reverted", []byte("A"))
		b.file("reverted large", newContent(3, 3<<20))
		move("photos/2010/a.jpg", "photos/2011/a moved.jpg")
		move("names/latin1 \xe9", "names/latin2 \xe9\n'")
		move("name dirs", "dirs with names")
		b.file("photos/2010/copy of b.jpg", readFile(t, b.path("photos/2011/b.jpg")))
		b.file("photos/2012/deeper/still/c", []byte("changed"))
		b.check(os.Remove(b.path("a")))
		b.file("a/is a folder now", []byte("x"))
		b.check(os.RemoveAll(b.path("a.b")))
		b.file("a.b", []byte("is a file now"))
		replaceKinds(b)
		b.check(os.Remove(b.path("kinds/dangling")))
		b.check(os.Symlink("elsewhere\xff", b.path("kinds/dangling")))
		b.check(os.Chmod(b.path("modes/nothing"), 0o640))
		b.check(os.Chown(b.path("names/\n"), 5, 6))
		b.check(os.RemoveAll(b.path("modes/sticky folder")))
		b.file("empty", []byte("not any more"))
		b.file("photos/2011/filled", nil)
	case 2:
		b.file("reverted", []byte("B"))
		b.file("reverted large", newContent(4, 3<<20))
		b.check(os.Link(b.path("empty"), b.path("photos/2010/linked later")))
		b.check(os.Remove(b.path("kinds/link")))
		b.check(os.RemoveAll(b.path("a")))
		b.check(os.Symlink("a.b", b.path("a")))
		b.file("photos/2012/deeper/still/c", nil)
		b.file("photos/2011/filled", []byte("\x00"))
		b.file("names/with\nnewline", []byte("changed\n"))
		b.file("names/"+strings.Repeat("\xfe", 255), []byte("changed"))
	case 3:
		b.file("reverted", []byte("A"))
		b.file("reverted large", newContent(3, 3<<20))
		move("dirs with names", "name dirs")
		b.check(os.Remove(b.path("a")))
		b.file("a/is a folder again", []byte("y"))
		b.file("big/text", append(readFile(t, b.path("big/text")), '!'))
		b.check(os.RemoveAll(b.path("sizes")))
	}
}

// replaceKinds puts something of another kind in a file's, a folder's and a
// link's place.
func replaceKinds(b *builder) {
	const in = "photos/2012/deeper/"
	for _, n := range []string{"file then folder", "folder then file", "file then link", "folder then link", "link then folder"} {
		b.check(os.RemoveAll(b.path(in + n)))
		switch _, then, _ := strings.Cut(n, " then "); then {
		case "folder":
			b.file(in+n+"/new/below", []byte(n+" below"))
		case "link":
			b.check(os.Symlink("still", b.path(in+n)))
		default:
			b.file(in+n, []byte(n+" now"))
		}
	}
}

// TestRecovery gets files back with the commands of the repository's own
// RECOVERY.txt and the programs that it names, and nothing else.
func TestRecovery(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make devices, owners and trusted attributes")
	}
	programs(t, append(recoveryTools, "rsync")...)
	for _, encryption := range []string{"--no-encryption", ""} {
		t.Run("encryption"+encryption, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			source := p.path("odd")
			p.must(slices.DeleteFunc([]string{"init", "-r", p.path("repo"), encryption}, func(s string) bool { return s == "" })...)
			r := newRecovery(p, p.path("repo"))
			oddTree(t, source)
			stages := []stage{r.backupStage(source, 0)}
			for n := 1; n <= 3; n++ {
				changeTree(t, source, n)
				stages = append(stages, r.backupStage(source, n))
			}
			r.archivesArePlain()
			r.newestFiles(stages)
			r.exactly(stages[3], "newest", "") // chosen by the commands
			if encryption != "" {              // a matter of seconds, and the same commands
				r.exactly(stages[1], "older", stages[1].snapshot)
			}
		})
	}
}

// archivesArePlain has zstd test every archive, and tar list it.
func (r *recovery) archivesArePlain() {
	r.t.Helper()
	r.follow(r.path("plain"), "", "setup")
	const script = `set -o pipefail; n=0
for a in $(find "$REPO/archives" -type f | sed 's/ /?/g'); do
  case $a in *.age) age -d -i "$IDENTITY" "$a" ;; *) cat "$a" ;; esac > a.tar.zst && zstd -tq a.tar.zst && zstd -dcq a.tar.zst | tar -tf - > list || exit
  n=$((n + 1))
done; echo $n`
	cmd := exec.CommandContext(r.t.Context(), "bash", "-c", script)
	cmd.Dir = r.path("plain")
	cmd.Env = []string{"PATH=" + r.tools, "REPO=" + r.repo, "IDENTITY=" + r.identity}
	out, err := cmd.CombinedOutput()
	if n := strings.TrimSpace(string(out)); err != nil || len(n) < 2 {
		r.t.Errorf("not all archives are plain: %v %s", err, out)
	}
}

// newestFiles extracts all archives in order: every file that was never moved
// or copied has its newest content.
func (r *recovery) newestFiles(stages []stage) {
	r.t.Helper()
	target := r.path("extracted")
	r.follow(target, "", "setup", "extract")
	paths := map[string]map[string]bool{} // by content
	for _, s := range stages {
		for path, content := range contents(r.t, s.copy) {
			if paths[content] == nil {
				paths[content] = map[string]bool{}
			}
			paths[content][path] = true
		}
	}
	got, compared := contents(r.t, filepath.Join(target, "odd")), 0
	for path, content := range contents(r.t, stages[len(stages)-1].copy) {
		if len(paths[content]) > 1 {
			continue // moved, copied or linked
		}
		compared++
		if got[path] != content {
			r.t.Errorf("%.200q: content %s, want %s", path, got[path], content)
		}
	}
	if compared < 60 {
		r.t.Errorf("compared %d files", compared)
	}
}

// contents returns the content hashes of all files below dir, by path.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	cmd := exec.Command("find", ".", "-type", "f", "-exec", "sha256sum", "-z", "--", "{}", "+")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("hashing %s: %v", dir, err)
	}
	all := map[string]string{}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		all[string(line[66:])] = string(line[:64])
	}
	return all
}

// exactly gets one snapshot back; rsync finds no difference but the socket.
func (r *recovery) exactly(s stage, name, snapshot string) {
	r.t.Helper()
	target := r.path(name)
	r.follow(target, snapshot, "setup", "choose", "plan", "needed", "restore", "check")
	out, err := exec.Command("rsync", "-aHAXn", "--checksum", "--delete", "--modify-window=-1", "-i", "--exclude=/kinds/socket",
		s.copy+"/", filepath.Join(target, "odd")+"/").CombinedOutput()
	if err != nil || len(out) > 0 {
		r.t.Errorf("%s: rsync finds differences (%v):\n%s", name, err, out)
	}
	sameHoles(r.t, s.copy, filepath.Join(target, "odd"))
}

// TestRecoveryOfExtents puts a snapshot with a file of several stretches into a
// repository, which no backup writes yet: tarn and RECOVERY.txt read it.
func TestRecoveryOfExtents(t *testing.T) {
	programs(t, recoveryTools...)
	p := newPerson(t)
	r := newRecovery(p, p.path("repo"))
	one, two := newContent(1, 100_000), newContent(2, 70_000)
	for name, data := range map[string][]byte{"one": one, "it's\ntwo": two} {
		p.need(os.MkdirAll(p.path("src"), 0o755))
		p.need(os.WriteFile(p.path("src", name), data, 0o644))
	}
	p.must("backup", "-r", r.repo, "--init", p.path("src"))
	want := slices.Concat(one[5:60_000], two, one[99_999:], one[:1])
	r.identity = newRecovery(p, r.repo).identity
	p.addExtents(r.repo, want, []tarn.Extent{
		{Content: tarn.ContentHash(sum(one)), Offset: 5, Length: 59_995}, {Content: tarn.ContentHash(sum(two)), Length: 70_000},
		{Content: tarn.ContentHash(sum(one)), Offset: 99_999, Length: 1}, {Content: tarn.ContentHash(sum(one)), Length: 1},
	})
	p.must("restore", "-r", r.repo, "latest", "--target", p.path("back"))
	r.follow(p.path("by hand"), "", "setup", "choose", "plan", "needed", "restore", "check")
	for _, target := range []string{"back", "by hand"} {
		if got := readFile(t, p.path(target, "src/whole")); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, which are not the %d of the file", target, len(got), len(want))
		}
	}
	p.must("check", "-r", r.repo, "--read-data")
}

// addExtents commits a snapshot like the newest with one more file, src/whole.
func (p *person) addExtents(repository string, whole []byte, extents []tarn.Extent) {
	p.t.Helper()
	ctx := context.Background()
	s, err := local.Open(repository)
	p.need(err)
	files, err := filepath.Glob(p.path("home/config/tarn/identities/*.txt"))
	p.need(err)
	ids, _, err := machine.LoadIdentities(files[0], machine.Ask{})
	p.need(err)
	r, err := repo.Open(ctx, s, repo.Options{Identities: func() ([]age.Identity, error) { return ids, nil }})
	p.need(err)
	all, err := r.SnapshotIDs(ctx)
	p.need(err)
	snap, err := r.Snapshot(ctx, all[len(all)-1])
	p.need(err)
	w, err := r.NewTree()
	p.need(err)
	for e, err := range r.Tree(ctx, snap.Splits[0]) {
		p.need(err)
		p.need(w.Add(e))
	}
	e := tarn.Entry{Path: "src/whole", Type: tarn.TypeFile, Mode: 0o600, Size: int64(len(whole)), Content: tarn.ContentHash(sum(whole)), Extents: extents, MTime: tarn.Timespec{Sec: 5}, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	p.need(w.Add(&e))
	snap.Splits[0].Counts.Add(&e)
	tree, err := w.Finish()
	p.need(err)
	snap.Splits[0].Tree, snap.Splits[0].Size = tree.ID, tree.Size
	none := make(chan *repo.Archive)
	close(none)
	p.need(r.Commit(ctx, repo.Run{
		Archives: none,
		Trees:    func() ([]tarn.TreeID, error) { return []tarn.TreeID{tree.ID}, nil },
		Snapshot: func() (*repo.Snapshot, error) {
			next := *snap
			next.Parent, next.ID = snap.ID, tarn.SnapshotID(tarn.FormatID(snap.ID.Time().Add(2e9), [8]byte{1}))
			return &next, nil
		},
	}))
}
