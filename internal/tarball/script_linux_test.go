package tarball_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// scripted is a bucket that both the script and tarn back up to.
type scripted struct {
	*testing.T
	e     storagetest.Endpoint
	store *s3.Storage
}

func newScripted(t *testing.T, e storagetest.Endpoint) *scripted {
	t.Helper()
	for _, program := range []string{"bash", "parallel", "md5sum", "tar", "gzip", "rclone", "find", "xargs"} {
		storagetest.Program(t, program)
	}
	s, err := s3.Open(t.Context(), s3.Config{Bucket: e.Bucket, Endpoint: e.URL, Region: e.Region, AccessKey: e.AccessKey, SecretKey: e.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	return &scripted{t, e, s}
}

// script runs the script, and returns what it says.
func (s *scripted) script(name, path string, depth int, class tarn.Class, env ...string) string {
	s.Helper()
	program, err := filepath.Abs("testdata/script.sh")
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.CommandContext(s.Context(), "bash", program, s.e.Bucket, name, path, strconv.Itoa(depth), string(class))
	rclone := filepath.Dir(storagetest.Program(s, "rclone"))
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH") + ":" + rclone, "HOME=" + s.TempDir(), "LC_ALL=C.UTF-8", "AWS=rclone", "RCLONE_CONFIG=" + os.DevNull,
		"RCLONE_CONFIG_BACKUP_TYPE=s3", "RCLONE_CONFIG_BACKUP_PROVIDER=Other", "RCLONE_CONFIG_BACKUP_ENDPOINT=" + s.e.URL,
		"RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID=" + s.e.AccessKey, "RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY=" + s.e.SecretKey,
		"RCLONE_CONFIG_BACKUP_REGION=" + s.e.Region,
	}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("the script: %v\n%s", err, out)
	}
	return string(out)
}

func (s *scripted) tarn(cfg tarball.Config) *tarball.Result {
	s.Helper()
	cfg.Storage, cfg.Now, cfg.Log = s.store, time.Now, slog.New(slog.DiscardHandler)
	cfg.Problem = func(path string, err error) { s.Errorf("%s: %v", path, err) }
	res, err := tarball.Run(s.Context(), cfg)
	if err != nil {
		s.Fatal(err)
	}
	return res
}

// objects returns what there is of a backup, by what follows its name.
func (s *scripted) objects(name string) map[string]storage.Object {
	s.Helper()
	all := map[string]storage.Object{}
	for o, err := range s.store.List(s.Context(), name+"/") {
		if err != nil {
			s.Fatal(err)
		}
		all[strings.TrimPrefix(o.Key, name+"/")] = o
	}
	return all
}

func (s *scripted) get(key string) []byte {
	s.Helper()
	r, err := s.store.Get(context.Background(), key, 0, -1)
	if err != nil {
		s.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// extract extracts an archive with the system's tar; the script's may be
// several, one after the other.
func (s *scripted) extract(key string, flags ...string) e2e.Tree {
	s.Helper()
	dir := s.TempDir()
	cmd := exec.Command("tar", append(flags, "-xzpf", "-", "-C", dir)...)
	cmd.Stdin = bytes.NewReader(s.get(key))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("extracting %s: %v\n%s", key, err, out)
	}
	return e2e.ReadTree(s, dir)
}

// contents reduces a tree to the files with their hashes.
func contents(t e2e.Tree) map[string]string {
	files := map[string]string{}
	for path, picture := range t {
		if picture[0] == '-' {
			picture, _, _ = strings.Cut(picture, " = ")
			files[path] = picture[strings.LastIndexByte(picture, ' ')+1:]
		}
	}
	return files
}

// oddTree makes a tree of what programs stumble over, three levels deep. Names
// with a \n, as two characters, are not in it: tar takes that for a newline,
// so that the script fails.
func oddTree(t *testing.T) string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "my disk")
	write := func(path, content string) {
		path = filepath.Join(top, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-1000*time.Hour - 123456789*time.Nanosecond)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{
		"plain.txt", "a b.txt", "it's", `say "hi"`, "-leading dash", "--version", "-n", "caf\u00e9", "日本", "caf\xe9 in latin-1", `back\slash`, `end\`,
		"car\rriage", "tab\tbed", "$HOME `id` $(id)", "*", "{}", "~", "#", "a.b", "a/b", "a-b", " lead", "trail ", ";&|<>",
	} {
		for _, dir := range []string{"", "photos", "photos/2010 summer", "photos/2010 summer/day 1", "-dash/x", `d\e/f`, "日記/ä"} {
			write(filepath.Join(dir, name), strings.Repeat(name, i))
		}
	}
	for _, dir := range []string{"$RECYCLE.BIN", "old.Trash-1000", "System Volume Information", "photos/.Trash-1000", "photos/2010 summer/$RECYCLE.BIN"} {
		write(dir+"/thrown away", dir)
	}
	for _, dir := range []string{"empty", "photos/empty", "photos/2010 summer/empty/er"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "plain.txt", "photos/link": "2010 summer", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// TestScript runs the script and tarn on the same trees, to the same bucket,
// and wants the same: keys, hashes, lists and files. After either of them the
// other has nothing to upload.
func TestScript(t *testing.T) {
	t.Parallel()
	s := newScripted(t, storagetest.Versitygw(t))
	many := filepath.Join(t.TempDir(), "many")
	if err := os.MkdirAll(filepath.Join(many, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		name := fmt.Sprintf("folder/a photo with a long name, as cameras make them %05d.jpg", i)
		if err := os.WriteFile(filepath.Join(many, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	odd, all := oddTree(t), storagetest.All(t)
	for _, test := range []struct {
		name, path string
		depth      int
		keys       int
		sample     bool
	}{
		{"odd0", odd, 0, 1, false}, {"odd1", odd, 1, 6, false}, {"odd2", odd, 2, 8, true}, {"odd3", odd, 3, 13, false}, {"many0", many, 0, 1, true}, {"many1", many, 1, 1, false},
		{"empty0", empty, 0, 0, false}, {"empty1", empty, 1, 0, true}, {"slash", odd + "/", 0, 1, false}, {"deep/name", odd, 0, 1, false},
	} {
		if !all && !test.sample {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			s := &scripted{t, s.e, s.store}
			byScript, byTarn := test.name+"-script", test.name+"-tarn"
			s.script(byScript, test.path, test.depth, tarn.Standard)
			s.tarn(tarball.Config{Name: byTarn, Path: test.path, SplitDepth: test.depth, Class: tarn.Standard})
			want, got := s.objects(byScript), s.objects(byTarn)
			if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(w, g) {
				t.Fatalf("keys: %q, want %q", g, w)
			}
			if len(want) != 3*test.keys {
				t.Errorf("%d objects, want %d: %q", len(want), 3*test.keys, slices.Sorted(maps.Keys(want)))
			}
			for key := range want {
				if !strings.HasSuffix(key, tarball.Suffix) {
					if w, g := s.get(byScript+"/"+key), s.get(byTarn+"/"+key); !bytes.Equal(w, g) {
						t.Errorf("%s: %q, want %q", key, g, w)
					}
					continue
				}
				w, g := contents(s.extract(byScript+"/"+key, "--ignore-zeros")), contents(s.extract(byTarn+"/"+key))
				if !maps.Equal(w, g) {
					t.Errorf("%s: %d files, want %d", key, len(g), len(w))
				}
			}
			s.takesOver(byScript, byTarn, test.path, test.depth)
		})
	}
}

// takesOver requires that neither program uploads over what the other has made.
func (s *scripted) takesOver(byScript, byTarn, path string, depth int) {
	s.Helper()
	want, got := s.objects(byScript), s.objects(byTarn)
	res := s.tarn(tarball.Config{Name: byScript, Path: path, SplitDepth: depth, Class: tarn.Standard})
	if len(res.Made) != 0 || res.Mended != 0 || !maps.Equal(want, s.objects(byScript)) {
		s.Errorf("after the script, tarn uploads: %+v", res.Made)
	}
	said := s.script(byTarn, path, depth, tarn.Standard)
	if strings.Contains(said, "Uploading") || !maps.Equal(got, s.objects(byTarn)) {
		s.Errorf("after tarn, the script uploads:\n%s", said)
	}
}

// TestArchiveIsWhole: what the script leaves out is in tarn's archive, and an
// ordinary tar gets all of it back.
func TestArchiveIsWhole(t *testing.T) {
	t.Parallel()
	s := newScripted(t, storagetest.Versitygw(t))
	top := oddTree(t)
	for name, content := range map[string]string{"new\nline": "1", `a\nb`: "4", "photos/\n": "2", "large": strings.Repeat("x", 3<<20)} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(content), 0o604); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(top, "large"), filepath.Join(top, "photos/large too")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(top, "empty"), 0o1711); err != nil {
		t.Fatal(err)
	}
	s.tarn(tarball.Config{Name: "whole", Path: top, Class: tarn.Standard})
	want := e2e.ReadTree(t, top)
	if diff := e2e.Diff(want, s.extract("whole/my disk.tar.gz")); len(diff) > 0 {
		t.Errorf("%s", strings.Join(diff, "\n"))
	}
	if list := string(s.get("whole/my disk.tar.gz.txt")); strings.Contains(list, "new") {
		t.Errorf("a name with a newline is in the list: %q", list)
	}
	if res := s.tarn(tarball.Config{Name: "whole", Path: top, Class: tarn.Standard}); len(res.Made) != 0 {
		t.Errorf("uploaded again: %+v", res.Made)
	}
	if err := os.WriteFile(filepath.Join(top, "photos/\n"), []byte("3"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := s.tarn(tarball.Config{Name: "whole", Path: top, Class: tarn.Standard}); len(res.Made) != 1 {
		t.Errorf("a change of a file whose name is a newline goes unnoticed: %+v", res)
	}
}

// ownLab is a lab with a bucket, and where it is.
func ownLab(t *testing.T) (*s3lab.Server, storagetest.Endpoint) {
	t.Helper()
	lab := s3lab.New(s3lab.Config{})
	lab.CreateBucket("tarn")
	server := httptest.NewServer(lab)
	t.Cleanup(server.Close)
	return lab, storagetest.Endpoint{URL: server.URL, Bucket: "tarn", Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret"}
}

// TestSingleFile: one file is an object of its own, and rclone and tarn each
// know that the other has uploaded it.
func TestSingleFile(t *testing.T) {
	t.Parallel()
	_, lab := ownLab(t)
	for name, e := range map[string]storagetest.Endpoint{
		"lab":       lab,
		"versitygw": storagetest.Versitygw(t),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, e)
			for _, size := range []int{0, 100, 40 << 20} {
				path := filepath.Join(t.TempDir(), "photo 1.tar.gz")
				if err := os.WriteFile(path, storagetest.Content(7, size), 0o600); err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("single-%d", size)
				cfg := tarball.Config{Name: name + "-script", Path: path, Class: tarn.GlacierIR}
				s.script(cfg.Name, path, 2, cfg.Class, "RCLONE_EXTRA=--s3-upload-cutoff 10Mi")
				if res := s.tarn(cfg); len(res.Made) != 0 || res.Unchanged != 1 {
					t.Errorf("%d bytes: after the script, tarn uploads %+v", size, res.Made)
				}
				cfg.Name = name + "-tarn"
				if res := s.tarn(cfg); len(res.Made) != 1 {
					t.Errorf("%d bytes: %+v", size, res)
				}
				before := s.objects(cfg.Name)
				s.script(cfg.Name, path, 2, cfg.Class)
				if !maps.Equal(before, s.objects(cfg.Name)) {
					t.Errorf("%d bytes: after tarn, the script uploads", size)
				}
				if o := before["photo 1.tar.gz"]; len(before) != 1 || o.Size != int64(size) || e == lab && o.Class != tarn.GlacierIR {
					t.Errorf("%d bytes: %+v", size, before)
				}
				if err := os.WriteFile(path, storagetest.Content(8, size), 0o600); err != nil {
					t.Fatal(err)
				}
				if res := s.tarn(cfg); size > 0 && len(res.Made) != 1 {
					t.Errorf("%d bytes: a change goes unnoticed", size)
				}
			}
		})
	}
}

// TestClasses: archives lie in the class that was asked for, what lies beside
// them in STANDARD, as with the script; and no cold archive is read to compare.
func TestClasses(t *testing.T) {
	t.Parallel()
	_, lab := ownLab(t)
	s := newScripted(t, lab)
	top := oddTree(t)
	s.script("script", top, 1, tarn.Glacier)
	s.tarn(tarball.Config{Name: "tarn", Path: top, SplitDepth: 1, Class: tarn.Glacier})
	want, got := s.objects("script"), s.objects("tarn")
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d objects, want %d", len(got), len(want))
	}
	for key, o := range got {
		class := tarn.Standard
		if strings.HasSuffix(key, tarball.Suffix) {
			class = tarn.Glacier
		}
		if o.Class != class || want[key].Class != class {
			t.Errorf("%s is in %s, and the script's in %s", key, o.Class, want[key].Class)
		}
	}
	s.takesOver("script", "tarn", top, 1)
}

// TestNothingHalfIsLeft: an upload that is given up leaves no parts behind, and
// what is there of the archive stays.
func TestNothingHalfIsLeft(t *testing.T) {
	t.Parallel()
	lab, at := ownLab(t)
	s, err := s3.Open(t.Context(), s3.Config{Bucket: at.Bucket, Endpoint: at.URL, Region: at.Region, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	write := func(seed uint64, size int) {
		if err := os.WriteFile(filepath.Join(top, "large"), storagetest.Content(seed, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(1, 1<<20)
	cfg := tarball.Config{Storage: s, Name: "n", Path: top, Class: tarn.Glacier, Now: time.Now}
	if _, err := tarball.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	there := func() (all []storage.Object) {
		for o, err := range s.List(t.Context(), "n/") {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, o)
		}
		return all
	}
	before := there()
	write(2, 90<<20)
	cfg.MaxSize = 70 << 20
	res, err := tarball.Run(t.Context(), cfg)
	if err != nil || res.Failed != 1 || res.Problems != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cfg.MaxSize = 0
	cfg.Progress = new(tarball.Progress)
	go func() {
		for cfg.Progress.Read().Stored == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if res, err := tarball.Run(ctx, cfg); err == nil && ctx.Err() != nil {
		t.Logf("it was done before it was interrupted: %+v", res)
	} else if !slices.Equal(before, there()) {
		t.Errorf("%v, and %+v is there of an upload that did not end", err, there())
	}
	cancel()
	if n := lab.Uploads(); n != 0 {
		t.Errorf("%d unfinished uploads are left", n)
	}
}
