package tarball

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// tree makes files by path and content.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "disk")
	for path, content := range files {
		write(t, filepath.Join(top, path), content)
	}
	return top
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// bench is a backup in memory.
type bench struct {
	*testing.T
	store    *storagetest.Memory
	cfg      Config
	mu       sync.Mutex
	problems []string
	events   []EventKind
}

func newBench(t *testing.T, path string) *bench {
	b := &bench{T: t, store: storagetest.NewMemory()}
	b.cfg = Config{Storage: b.store, Name: "disk", Path: path, SplitDepth: 1, Class: tarn.Glacier, Memory: filepath.Join(t.TempDir(), "memory")}
	b.cfg.Now = func() time.Time { return time.Now().Add(time.Hour) } // so that all files are long settled
	b.cfg.Problem = func(path string, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, fmt.Sprintf("%s: %v", path, err))
	}
	b.cfg.Event = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e.Kind)
	}
	return b
}

func (b *bench) run() (*Result, error) {
	b.problems, b.events = nil, nil
	return Run(b.Context(), b.cfg)
}

func (b *bench) must() *Result {
	b.Helper()
	res, err := b.run()
	if err != nil {
		b.Fatal(err)
	}
	if len(b.problems) != res.Problems {
		b.Errorf("%d problems, and said %q", res.Problems, b.problems)
	}
	return res
}

// made requires that just these archives were made.
func (b *bench) made(res *Result, want ...string) {
	b.Helper()
	var got []string
	for _, m := range res.Made {
		got = append(got, m.Key)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		b.Errorf("made %q, want %q", got, want)
	}
}

// members are the files in an archive.
func members(data []byte) (map[string]string, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		} else if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			files[h.Name] = string(content)
		}
	}
}

// consistent reports what is wrong with a backup: a hash beside an archive with
// other content would keep the next run from making it anew.
func consistent(store *storagetest.Memory) error {
	for _, key := range store.Keys() {
		archive, ok := strings.CutSuffix(key, SumSuffix)
		if !ok {
			continue
		}
		files, err := members(store.Bytes(archive))
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		h := NewHasher()
		for _, name := range slices.Sorted(maps.Keys(files)) {
			h.Add(name, md5.Sum([]byte(files[name])))
		}
		if want := FormatSum(h.Sum()); !bytes.Equal(store.Bytes(key), want) {
			return fmt.Errorf("%s has %q, and the archive %q", key, store.Bytes(key), want)
		}
	}
	return nil
}

func TestChanges(t *testing.T) {
	top := tree(t, map[string]string{"own": "1", "a/x": "2", "a/b/y": "3", "b/z": string(storagetest.Content(3, 5<<18)), "_not/q": ""})
	b := newBench(t, top)
	b.cfg.DryRun = true
	most := map[string]int64{}
	for _, m := range b.must().Made {
		most[m.Key] = m.Size
	}
	if len(b.store.Keys()) > 0 {
		t.Errorf("a dry run has stored %q", b.store.Keys())
	}
	b.cfg.DryRun = false
	res := b.must()
	for _, m := range res.Made {
		if m.Size <= 0 || m.Size > most[m.Key] || m.Size != int64(len(b.store.Bytes(m.Key))) {
			t.Errorf("%s has %d bytes, the dry run said %d at most", m.Key, m.Size, most[m.Key])
		}
	}
	b.made(res, "disk/_files.tar.gz", "disk/_not.tar.gz", "disk/a.tar.gz", "disk/b.tar.gz")
	if res.Files != 5 || res.Bytes != 3+5<<18 || res.Empty != 0 || res.Failed != 0 || res.Stored() == 0 {
		t.Errorf("%+v", res)
	}
	if err := consistent(b.store); err != nil {
		t.Error(err)
	}
	if list := string(b.store.Bytes("disk/a.tar.gz.txt")); list != "b/y\nx\n" {
		t.Errorf("list %q", list)
	}
	for _, change := range []struct {
		what string
		do   func() error
		want []string
	}{
		{"nothing", func() error { return nil }, nil},
		{"a touch", func() error { return os.Chtimes(filepath.Join(top, "own"), time.Now(), time.Unix(1, 0)) }, nil},
		{"a new mode", func() error { return os.Chmod(filepath.Join(top, "a/x"), 0o600) }, nil},
		{"a new folder", func() error { return os.Mkdir(filepath.Join(top, "a/new"), 0o700) }, nil},
		{"content", func() error { return os.WriteFile(filepath.Join(top, "a/b/y"), []byte("4"), 0o644) }, []string{"disk/a.tar.gz"}},
		{"a name", func() error { return os.Rename(filepath.Join(top, "own"), filepath.Join(top, "mine")) }, []string{"disk/_files.tar.gz"}},
		{"a deletion", func() error { return os.Remove(filepath.Join(top, "a/x")) }, []string{"disk/a.tar.gz"}},
		{"all of a folder", func() error { return os.RemoveAll(filepath.Join(top, "b")) }, nil},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		for _, trust := range []bool{true, false} {
			b.cfg.TrustMTime, b.cfg.DryRun = trust, true
			if res := b.must(); len(res.Made) != len(change.want) {
				t.Errorf("%s: a dry run that trusts times (%v) would make %+v, want %q", change.what, trust, res.Made, change.want)
			}
		}
		b.cfg.DryRun = false
		res := b.must()
		b.made(res, change.want...)
		if err := consistent(b.store); err != nil {
			t.Errorf("%s: %v", change.what, err)
		}
	}
}

// TestRemembered: with --trust-mtime no file is read that looks as it did.
func TestRemembered(t *testing.T) {
	top := tree(t, map[string]string{"a": "1", "b": "2", "c\nd": "3"})
	b := newBench(t, top)
	b.cfg.SplitDepth = 0
	b.must()
	read := func() (n int64) {
		b.cfg.Progress = new(Progress)
		j, err := newRun(t.Context(), b.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.folder(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(j.res.Made) > 0 {
			t.Errorf("made %+v", j.res.Made)
		}
		return j.opened.Load()
	}
	if n := read(); n != 3 {
		t.Errorf("%d files were read, want all 3", n)
	}
	b.cfg.TrustMTime = true
	if n := read(); n != 0 {
		t.Errorf("%d files were read that have not changed", n)
	}
	// The same size and time of modification: only the inode tells.
	info, err := os.Stat(filepath.Join(top, "b"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top, "b"), "4")
	if err := os.Chtimes(filepath.Join(top, "b"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	b.made(b.must(), "disk/disk.tar.gz")

	kept, err := filepath.Glob(filepath.Join(b.cfg.Memory, "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q, %v", kept, err)
	}
	good, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, bad := range [][]byte{good[:i], slices.Concat(good[:i], []byte{good[i] ^ 1}, good[i+1:])} {
			if err := os.WriteFile(kept[0], bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := openRemembered(kept[0]); err == nil {
				r.close()
				t.Fatalf("damaged at %d, and not noticed", i)
			}
		}
	}
	b.made(b.must())
	if n := read(); n != 0 {
		t.Errorf("%d files were read after the memory was made anew", n)
	}
	b.cfg.Now = time.Now // too soon to tell a later write by its time
	write(t, filepath.Join(top, "a"), "5")
	b.made(b.must(), "disk/disk.tar.gz")
	b.cfg.DryRun = true
	if n := read(); n != 3 {
		t.Errorf("%d files were read, want all, which are seconds old", n)
	}
}

// TestMoving archives files that are written to all the time.
func TestMoving(t *testing.T) {
	top := tree(t, map[string]string{"a/still": "1", "a/small": "", "a/large": strings.Repeat("x", 4<<20)})
	b := newBench(t, top)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, name := range []string{"small", "large"} {
				f, err := os.OpenFile(filepath.Join(top, "a", name), os.O_WRONLY|os.O_APPEND, 0)
				if err == nil {
					_, err = f.WriteString(strings.Repeat("y", 100))
					err = errors.Join(err, f.Close())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	res, err := b.run()
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if res.Problems == 0 || !strings.Contains(strings.Join(b.problems, "\n"), "large: it changed while it was read") {
		t.Errorf("%d problems: %q", res.Problems, b.problems)
	}
	if err := consistent(b.store); err != nil {
		t.Error(err)
	}
	b.made(b.must(), "disk/a.tar.gz") // in peace
	b.made(b.must())
}

// TestFaults makes each request fail, before and after it took effect. Whatever
// is there then is a whole backup, of before or of after; and the next run
// brings it up to date.
func TestFaults(t *testing.T) {
	top := tree(t, map[string]string{"own": "1", "a/x": "2"})
	b := newBench(t, top)
	b.must()
	before := b.store.Clone()
	write(t, filepath.Join(top, "a/x"), "3")
	write(t, filepath.Join(top, "new/y"), "4")
	mine := errors.New("mine")
	for _, kind := range []storagetest.Kind{storagetest.FailBefore, storagetest.FailAfter} {
		for n := 1; ; n++ {
			b.store = before.Clone()
			b.cfg.Storage = b.store
			fired := false
			b.store.SetHook(func(r storagetest.Request) storagetest.Fault {
				if r.N != n {
					return storagetest.Fault{}
				}
				fired = true
				return storagetest.Fault{Kind: kind, Err: mine}
			})
			res, err := b.run()
			if !fired {
				if n < 9 || err != nil {
					t.Errorf("%d requests, %v", n, err)
				}
				break
			}
			if !errors.Is(err, mine) || res != nil {
				t.Errorf("%s at request %d: %v", kind, n, err)
			}
			b.store.SetHook(nil)
			for _, key := range b.store.Keys() {
				if strings.HasSuffix(key, Suffix) {
					if _, err := members(b.store.Bytes(key)); err != nil {
						t.Errorf("%s at request %d: %s: %v", kind, n, key, err)
					}
				}
			}
			b.must()
			if err := consistent(b.store); err != nil {
				t.Errorf("after %s at request %d: %v", kind, n, err)
			}
			if got := len(b.store.Keys()); got != 9 {
				t.Errorf("after %s at request %d: %d objects, want 9: %q", kind, n, got, b.store.Keys())
			}
			b.made(b.must())
		}
	}
}

// TestListMended: a run that ended before it came to the list leaves that to the next.
func TestListMended(t *testing.T) {
	top := tree(t, map[string]string{"a": "1", "b": "2"})
	b := newBench(t, top)
	b.must()
	b.store.Drop("disk/_files.tar.gz.txt")
	if res := b.must(); res.Mended != 1 || len(res.Made) != 0 || res.Unchanged != 1 {
		t.Errorf("%+v", res)
	}
	if got := string(b.store.Bytes("disk/_files.tar.gz.txt")); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
	if res := b.must(); res.Mended != 0 {
		t.Error("it is mended again")
	}
	b.store.Drop("disk/_files.tar.gz")
	b.made(b.must(), "disk/_files.tar.gz")
	b.store.Drop("disk/_files.tar.gz.md5")
	b.made(b.must(), "disk/_files.tar.gz")
	b.store.Plant("disk/_files.tar.gz.md5", []byte("nonsense"))
	b.made(b.must(), "disk/_files.tar.gz")
}

// TestDamagedSum: a hash that the storage can't give as it was stored is none. The
// archive is made again, and the run goes on.
func TestDamagedSum(t *testing.T) {
	top := tree(t, map[string]string{"a/x": "1", "b/y": "2"})
	b := newBench(t, top)
	b.must()
	b.store.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op != storagetest.OpGet || r.Key != "disk/a.tar.gz.md5" {
			return storagetest.Fault{}
		}
		return storagetest.Fault{Kind: storagetest.FailBefore, Err: tarn.ErrDamaged}
	})
	res := b.must()
	b.made(res, "disk/a.tar.gz")
	if res.Unchanged != 1 || !slices.Contains(b.events, Unknown) {
		t.Errorf("%+v: %v", res, b.events)
	}
	b.store.SetHook(nil)
	b.made(b.must())
}

// A key that the storage can't have is a problem of its archive alone.
func TestKeyRefused(t *testing.T) {
	b := newBench(t, tree(t, map[string]string{"a/x": "1", "b/y": "2", "c/z": "3"}))
	b.store.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op != storagetest.OpPut || r.Key != "disk/b.tar.gz" {
			return storagetest.Fault{}
		}
		return storagetest.Fault{Kind: storagetest.FailBefore, Err: tarn.ErrKey}
	})
	res, err := b.run()
	if err != nil || res.Failed != 1 || res.Problems != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	b.made(res, "disk/a.tar.gz", "disk/c.tar.gz")
}

func TestMaxSize(t *testing.T) {
	top := tree(t, map[string]string{"a/x": string(storagetest.Content(1, 3<<20)), "b/y": "small"})
	b := newBench(t, top)
	b.cfg.MaxSize = 1 << 20
	res := b.must()
	b.made(res, "disk/b.tar.gz")
	if res.Failed != 1 || res.Problems != 1 || !strings.Contains(b.problems[0], "1048576 bytes") || len(b.store.Keys()) != 3 {
		t.Errorf("%+v: %q, %q", res, b.problems, b.store.Keys())
	}
	b.cfg.MaxSize = 4 << 20
	b.made(b.must(), "disk/a.tar.gz")
}

func TestRefused(t *testing.T) {
	top := tree(t, map[string]string{"_files/x": "1", "bad\xff/y": "2", "own": "3", "fine/z": "4"})
	b := newBench(t, top)
	res := b.must()
	b.made(res, "disk/_files.tar.gz", "disk/fine.tar.gz")
	if res.Failed != 2 || len(b.problems) != 2 {
		t.Errorf("%+v: %q", res, b.problems)
	}
	b.cfg.SplitDepth = 0
	b.made(b.must(), "disk/disk.tar.gz")
	for _, change := range []func(*Config){
		func(c *Config) { c.Name = "" }, func(c *Config) { c.Name = "/x" }, func(c *Config) { c.SplitDepth = -1 },
		func(c *Config) { c.Path = top + "/absent" }, func(c *Config) { c.Path = os.DevNull },
	} {
		bad := newBench(t, top)
		change(&bad.cfg)
		if _, err := bad.run(); err == nil || len(bad.store.Keys()) > 0 {
			t.Errorf("%+v: %v", bad.cfg, err)
		}
	}
	b.cfg.Path = top + "/absent"
	if _, err := b.run(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestSystemFolders: the script passes over them by the ends of their names,
// above the split depth and at it, but not within archives.
func TestSystemFolders(t *testing.T) {
	for rel, want := range map[string]string{
		"": "", "a": "", "$RECYCLE.BIN": "$RECYCLE.BIN", "x$RECYCLE.BIN": "x$RECYCLE.BIN", "a/.Trash-1000/b": "a/.Trash-1000",
		".Trash-10000": "", "System Volume Information": "System Volume Information", "$RECYCLE.BIN.old": "",
	} {
		if got := systemFolder(rel); got != want {
			t.Errorf("%q: %q, want %q", rel, got, want)
		}
	}
}

// TestSingleFile: a single file is an object as it is.
func TestSingleFile(t *testing.T) {
	path := filepath.Join(tree(t, map[string]string{"x": "1"}), "x")
	b := newBench(t, path)
	b.made(b.must(), "disk/x")
	b.made(b.must())
	b.cfg.TrustMTime = true
	b.made(b.must())
	write(t, path, "22")
	b.cfg.DryRun = true
	b.made(b.must(), "disk/x")
	b.cfg.DryRun = false
	b.made(b.must(), "disk/x")
	if got := string(b.store.Bytes("disk/x")); got != "22" || len(b.store.Keys()) != 1 {
		t.Errorf("%q, %q", got, b.store.Keys())
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	b.cfg.Path = link
	b.made(b.must(), "disk/link")
}

// TestColdSum: whoever lets a lifecycle rule cool all of the bucket gets no
// terabytes uploaded again, as with the script, but is told.
func TestColdSum(t *testing.T) {
	top := tree(t, map[string]string{"own": "1", "a/x": "2"})
	b := newBench(t, top)
	b.must()
	b.store.SetCold()
	sum := b.store.Bytes("disk/a.tar.gz.md5")
	if _, err := b.store.Overwrite(t.Context(), "disk/a.tar.gz.md5", bytes.NewReader(sum), storage.PutOptions{Class: tarn.Glacier}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top, "own"), "3")
	res := b.must()
	b.made(res, "disk/_files.tar.gz")
	if res.Failed != 1 || len(b.problems) != 1 || !strings.Contains(b.problems[0], "its hash has gone cold") {
		t.Errorf("%+v: %q", res, b.problems)
	}
}

// TestOldSum: a hash that is older than its archive says nothing of it, and the
// archive is made again. Times are whole seconds, so that one as old is its own.
func TestOldSum(t *testing.T) {
	top := tree(t, map[string]string{"a/x": "1"})
	b := newBench(t, top)
	at := time.Now()
	b.store.SetNow(func() time.Time { return at })
	b.must()
	b.made(b.must()) // all three are of one second
	content := b.store.Bytes("disk/a.tar.gz")
	write(t, filepath.Join(top, "a/x"), "2")
	at = at.Add(time.Second)
	b.store.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op != storagetest.OpPut || r.Key != "disk/a.tar.gz.md5" {
			return storagetest.Fault{}
		}
		return storagetest.Fault{Kind: storagetest.FailBefore} // interrupted before the hash
	})
	if _, err := b.run(); err == nil || bytes.Equal(content, b.store.Bytes("disk/a.tar.gz")) {
		t.Fatalf("the run was not interrupted behind the archive: %v", err)
	}
	b.store.SetHook(nil)
	write(t, filepath.Join(top, "a/x"), "1") // the content of the hash that is there
	b.cfg.DryRun = true
	b.made(b.must(), "disk/a.tar.gz")
	b.cfg.DryRun = false
	b.made(b.must(), "disk/a.tar.gz")
	if err := consistent(b.store); err != nil {
		t.Error(err)
	}
	b.made(b.must())
}

// TestListAlone: a list that is missing, empty, cut or older is made anew from the
// disk, and no archive is uploaded for it.
func TestListAlone(t *testing.T) {
	top := tree(t, map[string]string{"a/x": "1", "a/y z": "2", "b/c": "3"})
	b := newBench(t, top)
	at := time.Now()
	b.store.SetNow(func() time.Time { return at })
	b.must()
	want := b.store.Bytes("disk/a.tar.gz.txt")
	for name, spoil := range map[string]func(){
		"missing": func() { b.store.Drop("disk/a.tar.gz.txt") },
		"empty":   func() { b.store.Plant("disk/a.tar.gz.txt", nil) },
		"cut":     func() { b.store.Plant("disk/a.tar.gz.txt", want[:2]) },
		"older": func() {
			at = at.Add(time.Second)
			b.store.Plant("disk/a.tar.gz.md5", b.store.Bytes("disk/a.tar.gz.md5"))
		},
	} {
		spoil()
		before := len(b.store.Requests())
		res := b.must()
		b.made(res)
		if res.Mended != 1 || res.Unchanged != 2 || !bytes.Equal(b.store.Bytes("disk/a.tar.gz.txt"), want) {
			t.Errorf("%s: %+v, %q", name, res, b.store.Bytes("disk/a.tar.gz.txt"))
		}
		for _, r := range b.store.Requests()[before:] {
			if r.Op == storagetest.OpPut && r.Key != "disk/a.tar.gz.txt" {
				t.Errorf("%s: %s was uploaded", name, r.Key)
			}
		}
		if res := b.must(); res.Mended != 0 {
			t.Errorf("%s: it is mended again", name)
		}
	}
}

// TestCompareUnlisted: of files that no list has nobody knows whether a folder has
// them, so that it is not the same.
func TestCompareUnlisted(t *testing.T) {
	top := tree(t, map[string]string{"a/x": "1", "a/new\nline": "2", "b/y": "3"})
	b := newBench(t, top)
	b.must()
	there, err := Look(t.Context(), b.store, "disk", time.Now())
	if err != nil || len(there.Archives) != 2 {
		t.Fatalf("%+v, %v", there, err)
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i, want := range []Compared{{Files: 1, Bytes: 1, Unlisted: 1}, {Files: 1, Bytes: 1, Same: true}} {
		if got, err := there.Archives[i].Compare(t.Context(), b.store, root); err != nil || got != want {
			t.Errorf("%s: %+v, want %+v, %v", there.Archives[i].Body.Key, got, want, err)
		}
	}
}

// clocked is a storage whose server tells the time.
type clocked struct {
	*storagetest.Memory
	at time.Time
}

func (c clocked) Clock() (time.Time, bool) { return c.at, true }

// TestServerClock: until when a copy can be read goes by the server's clock, however
// wrong this machine's is.
func TestServerClock(t *testing.T) {
	at := time.Now().Add(-1000 * time.Hour)
	s := clocked{storagetest.NewMemory(), at}
	s.SetNow(func() time.Time { return s.at })
	s.SetCold()
	if _, err := s.Put(t.Context(), "disk/a.tar.gz", strings.NewReader("x"), storage.PutOptions{Class: tarn.Glacier}); err != nil {
		t.Fatal(err)
	}
	if err := s.Thaw(t.Context(), "disk/a.tar.gz", storage.ThawOptions{Days: 1, Tier: storage.Bulk}); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]cold.State{0: cold.Thawing, 20 * time.Hour: cold.Thawed, 100 * time.Hour: cold.Frozen} {
		s.at = at.Add(after)
		s.SetNow(func() time.Time { return at.Add(after) })
		b, err := Look(t.Context(), s, "disk", time.Now())
		if err != nil || len(b.Archives) != 1 || b.Archives[0].Body.State != want {
			t.Errorf("after %s: %+v, want %s, %v", after, b.Archives[0].Body, want, err)
		}
	}
}

// TestSweeps: what killed runs have left in the memory's folder goes.
func TestSweeps(t *testing.T) {
	top := tree(t, map[string]string{"a/x": "1"})
	b := newBench(t, top)
	b.cfg.Now = time.Now
	old, young := filepath.Join(b.cfg.Memory, durable.TempPrefix+"old"), filepath.Join(b.cfg.Memory, durable.TempPrefix+"young")
	write(t, old, "left by a run that was killed")
	write(t, young, "of a run beside this one")
	long := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	b.must()
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed run left is there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}
