package tarball_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// target is a restore.Target, as the command has it.
type target struct{ *restore.Target }

func (t target) Create(e *tarn.Entry) (tarball.TargetFile, error) { return t.CreateUnsummed(e) }

func (t target) Stands(e *tarn.Entry) (there, same bool, err error) {
	state, err := t.State(e)
	return state != restore.Missing, state == restore.Same, err
}

func (t target) Sum(ctx context.Context, path string) (sum tarball.MD5, err error) {
	h := md5.New()
	err = t.SumFile(ctx, path, h)
	return tarball.MD5(h.Sum(nil)), err
}

// look finds the only archive of the backup.
func look(t testing.TB, s *storagetest.Memory) (*tarball.Bucket, *tarball.Tarball) {
	t.Helper()
	b, err := tarball.Look(t.Context(), s, "disk", now)
	if err != nil || len(b.Archives) != 1 {
		t.Fatalf("%+v, %v", b, err)
	}
	return b, b.Archives[0]
}

// restored restores into dir, and returns what was done and all problems.
func restored(t testing.TB, r tarball.Restoring, dir string) (*tarball.Restored, map[string]error, error) {
	t.Helper()
	to, err := restore.OpenTarget(dir, restore.TargetOptions{Replace: r.Overwrite != tarball.Never})
	if err != nil {
		t.Fatal(err)
	}
	problems := map[string]error{}
	var mu sync.Mutex
	r.Target, r.Now = target{to}, func() time.Time { return now }
	r.Problem = func(path string, err error) {
		mu.Lock()
		defer mu.Unlock()
		problems[path] = err
	}
	res, err := r.Restore(t.Context())
	if err := errors.Join(to.FinishDirs(context.Background()), to.Close()); err != nil {
		t.Fatal(err)
	}
	return res, problems, err
}

// files reads all files below dir.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.Type() == os.ModeSymlink {
			to, err := os.Readlink(path)
			all[filepath.ToSlash(rel)] = "-> " + to
			return err
		}
		text, err := os.ReadFile(path)
		all[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What the script has stored in glued tars comes back whole, and its hash proves
// it; restored again, nothing is read.
func TestRestoreWhole(t *testing.T) {
	want := many(5000)
	src := folder(t, want)
	s := storagetest.NewMemory()
	script(t, src, 700).put(t, s, "disk/photos/2010"+tarball.Suffix)
	_, a := look(t, s)
	dir := t.TempDir()
	res, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Overwrite: tarball.Changed}, dir)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", problems, err)
	}
	if !res.Proved || res.Files != 5000 || res.Written != 5000 || res.Tars != 8 {
		t.Errorf("%+v %+v", res, res.Findings)
	}
	if got := files(t, filepath.Join(dir, "photos/2010")); !maps.Equal(got, want) {
		t.Errorf("%d files came back, want %d", len(got), len(want))
	}
	for _, in := range []string{dir, src} { // the source itself is the folder of another place
		root, err := os.OpenRoot(in)
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Compare(t.Context(), s, root)
		if err != nil || c.Same != (in == dir) {
			t.Errorf("compared with %s: %+v, %v", in, c, err)
		}
		root.Close()
	}
	if res, _, _ = restored(t, tarball.Restoring{Storage: s, Tarball: a, Overwrite: tarball.Changed}, dir); res.Written != 0 || res.Same != 5000 || !res.Proved {
		t.Errorf("once more: %+v", res)
	}
	if err := os.WriteFile(filepath.Join(dir, "photos/2010/plain/file number 00000"), []byte("CONTENT of 0\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if c, err := a.Compare(t.Context(), s, root); err != nil || c.Same || c.Missing != 0 {
		t.Errorf("with one other byte: %+v, %v", c, err)
	}
}

// Of paths, what lies at and below them is written and nothing else; --quick reads
// no further than the last of them.
func TestRestorePaths(t *testing.T) {
	s := storagetest.NewMemory()
	big := strings.Repeat("incompressible? hardly ", 1<<16)
	script(t, folder(t, map[string]string{"a/1": "one", "a/2": "two", "ab": "three", "b": "four", "z": big}), 0).put(t, s, "disk/x"+tarball.Suffix)
	_, a := look(t, s)
	for _, c := range []struct {
		paths []string
		quick bool
		want  []string
		lacks []string
		ended bool
	}{
		{[]string{"a"}, false, []string{"x/a/1", "x/a/2"}, nil, false},
		{[]string{"a/2", "b"}, false, []string{"x/a/2", "x/b"}, nil, false},
		{[]string{"a/2", "b"}, true, []string{"x/a/2", "x/b"}, nil, true},
		{[]string{"a"}, true, []string{"x/a/1", "x/a/2"}, nil, false}, // of a folder nobody knows the end
		{[]string{"b", "c"}, true, []string{"x/b"}, []string{"c"}, false},
	} {
		dir := t.TempDir()
		res, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Paths: c.paths, Quick: c.quick, Overwrite: tarball.Changed}, dir)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v: %v, %v", c.paths, problems, err)
		}
		got := slices.Sorted(maps.Keys(files(t, dir)))
		if !slices.Equal(got, c.want) || !slices.Equal(res.Unfound, c.lacks) || res.Ended != c.ended || res.Proved == c.ended {
			t.Errorf("%v, quick %v: %v without %v, ended %v, proved %v", c.paths, c.quick, got, res.Unfound, res.Ended, res.Proved)
		}
	}
}

// packed makes an archive of members, and the files beside it as far as the names
// are given.
func packed(t testing.TB, members []tar.Header, texts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	w := tar.NewWriter(gz)
	for i, h := range members {
		text := ""
		if i < len(texts) {
			text = texts[i]
		}
		h.Size, h.Mode = int64(len(text)), 0o644
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeDir {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
	}
	if err := errors.Join(w.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// An archive can't write outside of the target, whatever its names and links are.
func TestHostile(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "target")
	outside := filepath.Join(above, "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	data := packed(t, []tar.Header{
		{Name: "../outside/up"}, {Name: filepath.Join(outside, "absolute")}, {Name: "a/../../outside/middle"},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "link/through"},
		{Name: "deep", Typeflag: tar.TypeSymlink, Linkname: "../outside"}, {Name: "deep/er/through"},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "../../outside/secret"},
		{Name: ".."}, {Name: ""}, {Name: "a//b"}, {Name: "fine"},
	}, "1", "2", "3", "", "4", "", "5", "", "", "", "6", "7")
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := storagetest.NewMemory()
	stored{archive: data}.put(t, s, "disk/x"+tarball.Suffix)
	_, a := look(t, s)
	res, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Overwrite: tarball.Changed}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, outside); len(got) != 1 {
		t.Errorf("outside of the target: %v", got)
	}
	if got := files(t, dir); got["x/fine"] != "7" || len(problems) < 5 || res.Proved {
		t.Errorf("in the target: %v; %v", got, problems)
	}
}

// What is wrong with an archive is named: files that are missing, surplus, or
// not those of the hash. What tar on macOS adds is none of it.
func TestDamage(t *testing.T) {
	src := map[string]string{"a": "one", "b": "two", "c/d": "three"}
	good := script(t, folder(t, src), 0)
	with := func(change func(s *stored)) stored {
		s := good
		change(&s)
		return s
	}
	headers := func(names ...string) (list []tar.Header) {
		for _, n := range names {
			list = append(list, tar.Header{Name: n})
		}
		return list
	}
	for name, c := range map[string]struct {
		stored
		problems []string
		proved   bool
	}{
		"good":            {good, nil, true},
		"missing":         {with(func(s *stored) { s.archive = packed(t, headers("a", "c/d"), "one", "three") }), []string{"b"}, false},
		"surplus":         {with(func(s *stored) { s.archive = packed(t, headers("a", "b", "c/d", "e"), "one", "two", "three", "four") }), []string{"e"}, true},
		"an empty list":   {with(func(s *stored) { s.list = []byte{} }), []string{"a", "b", "c/d"}, false},
		"other content":   {with(func(s *stored) { s.archive = packed(t, headers("a", "b", "c/d"), "one", "TWO", "three") }), []string{""}, false},
		"another order":   {with(func(s *stored) { s.archive = packed(t, headers("c/d", "b", "a"), "three", "two", "one") }), nil, true},
		"twice, the last": {with(func(s *stored) { s.archive = packed(t, headers("a", "a", "b", "c/d"), "old", "one", "two", "three") }), nil, true},
		"from macOS": {with(func(s *stored) {
			s.archive = packed(t, headers("._a", "a", "b", "c/._d", "c/d"), "m", "one", "two", "m", "three")
		}), nil, true},
		"no list":    {with(func(s *stored) { s.list = nil }), nil, false},
		"no hash":    {with(func(s *stored) { s.sum = nil }), nil, false},
		"not a hash": {with(func(s *stored) { s.sum = []byte("oops\n") }), []string{""}, false},
		"with a folder": {with(func(s *stored) {
			s.archive = packed(t, append([]tar.Header{{Name: "./", Typeflag: tar.TypeDir}}, headers("a", "b", "c/d")...), "", "one", "two", "three")
		}), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := storagetest.NewMemory()
			c.put(t, s, "disk/x"+tarball.Suffix)
			_, a := look(t, s)
			var problems []string
			found, err := tarball.Reading{Storage: s, Tarball: a, Problem: func(member string, _ error) { problems = append(problems, member) }}.Read(t.Context())
			if err != nil || !slices.Equal(problems, c.problems) || found.Proved != c.proved {
				t.Errorf("%q, proved %v, %v", problems, found.Proved, err)
			}
		})
	}
}

// Verify finds by what lies beside an archive that its upload ended early, and
// names what belongs to none.
func TestVerify(t *testing.T) {
	good := script(t, folder(t, map[string]string{"a": "one", "b": "two"}), 0)
	s := storagetest.NewMemory()
	at := now
	s.SetNow(func() time.Time { return at })
	put := func(key string, c stored) {
		for _, one := range []stored{{archive: c.archive}, {sum: c.sum}, {list: c.list}} {
			at = at.Add(time.Second)
			one.put(t, s, "disk/"+key+tarball.Suffix)
		}
	}
	put("whole", good)
	put("interrupted", stored{archive: good.archive})
	put("between", stored{archive: good.archive, sum: good.sum})
	put("orphan", stored{sum: good.sum, list: good.list})
	put("unsorted", stored{good.archive, good.sum, []byte("b\na\n")})
	at = at.Add(time.Second)
	stored{sum: good.sum, list: good.list}.put(t, s, "disk/stale"+tarball.Suffix)
	at = at.Add(time.Second)
	stored{archive: good.archive}.put(t, s, "disk/stale"+tarball.Suffix)
	put("cooled", stored{archive: good.archive, list: good.list})
	s.SetCold()
	if _, err := s.Put(t.Context(), "disk/cooled"+tarball.Suffix+tarball.SumSuffix, bytes.NewReader(good.sum), storage.PutOptions{Class: tarn.Glacier}); err != nil {
		t.Fatal(err)
	}
	b, err := tarball.Look(t.Context(), s, "disk", now)
	if err != nil {
		t.Fatal(err)
	}
	var damages []string
	v := tarball.Verifying{Storage: s, Bucket: b, Tarballs: b.Archives, Report: func(d tarball.Damage) {
		damages = append(damages, strings.TrimPrefix(d.Key, "disk/")+": "+strings.Fields(d.Problem)[0])
	}}
	res, err := v.Verify(t.Context())
	want := []string{
		"between.tar.gz: its", "cooled.tar.gz.md5: it", "interrupted.tar.gz: neither", "stale.tar.gz: the", "unsorted.tar.gz.txt: \"a\"",
		"orphan.tar.gz.md5: there", "orphan.tar.gz.txt: there",
	}
	if err != nil || !slices.Equal(damages, want) || res.Damages != len(want) || res.Tarballs != 6 {
		t.Errorf("%q\n%+v, %v", damages, res, err)
	}
	reads := 0
	for _, r := range s.Requests() {
		if r.Op == storagetest.OpGet && strings.HasSuffix(r.Key, tarball.Suffix) {
			reads++
		}
	}
	if reads != 0 {
		t.Errorf("%d archives were read", reads)
	}
	v.Data, damages = true, nil
	if res, err = v.Verify(t.Context()); err != nil || res.Read != 6 || res.Proved != 1 {
		t.Errorf("with the data: %+v, %v, %q", res, err, fmt.Sprint(damages))
	}
}

// A list that the storage can't give as it was stored is named, and ends neither
// the verification of the others nor the restore of its archive.
func TestDamagedList(t *testing.T) {
	src := map[string]string{"a": "one", "b": "two"}
	good := script(t, folder(t, src), 0)
	s := storagetest.NewMemory()
	good.put(t, s, "disk/x"+tarball.Suffix)
	good.put(t, s, "disk/y"+tarball.Suffix)
	s.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op != storagetest.OpGet || r.Key != "disk/x.tar.gz.txt" {
			return storagetest.Fault{}
		}
		return storagetest.Fault{Kind: storagetest.FailBefore, Err: tarn.ErrDamaged}
	})
	b, err := tarball.Look(t.Context(), s, "disk", now)
	if err != nil {
		t.Fatal(err)
	}
	var damages []string
	res, err := tarball.Verifying{Storage: s, Bucket: b, Tarballs: b.Archives, Data: true, Report: func(d tarball.Damage) { damages = append(damages, d.Key) }}.Verify(t.Context())
	if err != nil || res.Read != 2 || res.Proved != 1 || !slices.Equal(damages, []string{"disk/x.tar.gz.txt"}) {
		t.Errorf("%+v, %v: %q", res, err, damages)
	}
	if counts, err := tarball.CountFiles(t.Context(), s, b.Archives); err != nil || !slices.Equal(counts, []int64{-1, 2}) {
		t.Errorf("%v, %v", counts, err)
	}
	dir := t.TempDir()
	got, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: b.Archives[0], Overwrite: tarball.Changed}, dir)
	if err != nil || len(problems) != 1 || got.Proved || !maps.Equal(files(t, filepath.Join(dir, "x")), src) {
		t.Errorf("%+v, %v, %v", got.Findings, problems, err)
	}
}

// Single files are read and compared with the MD5 that is kept with them.
func TestVerifySingleFiles(t *testing.T) {
	s := storagetest.NewMemory()
	put := func(key, content, of string) {
		sum := md5.Sum([]byte(of))
		opts := storage.PutOptions{Metadata: map[string]string{"md5chksum": base64.StdEncoding.EncodeToString(sum[:])}}
		if _, err := s.Put(t.Context(), key, strings.NewReader(content), opts); err != nil {
			t.Fatal(err)
		}
	}
	put("disk/good", "one", "one")
	put("disk/bad", "two", "other")
	b, err := tarball.Look(t.Context(), s, "disk", now)
	if err != nil || len(b.Files) != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
	var damages []string
	v := tarball.Verifying{Storage: unsummed{s}, Bucket: b, Files: []*tarball.Object{&b.Files[0], &b.Files[1]}, Data: true}
	v.Report = func(d tarball.Damage) { damages = append(damages, d.Key) }
	res, err := v.Verify(t.Context())
	if err != nil || !slices.Equal(damages, []string{"disk/bad"}) || res.Singles != 2 || res.SinglesRead != 2 || res.SinglesProved != 1 || res.Bytes != 6 {
		t.Errorf("%+v, %v: %q", res, err, damages)
	}
}

// unsummed is a storage that has no MD5 of its own of what was put in parts.
type unsummed struct{ *storagetest.Memory }

func (u unsummed) Inspect(ctx context.Context, key string) (storage.Inspected, error) {
	in, err := u.Memory.Inspect(ctx, key)
	in.MD5 = ""
	return in, err
}
