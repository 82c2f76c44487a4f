package tarball_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// versioned is a storage that tells versions, the newest of a key first.
type versioned struct {
	*storagetest.Memory
	storage.Versioner // what it does not tell
	all               []storage.Version
}

func (v versioned) Versions(context.Context, string) iter.Seq2[storage.Version, error] {
	return func(yield func(storage.Version, error) bool) {
		for _, o := range v.all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// What is there comes before older versions, whatever their times are: that of an
// upload in parts may be when it began, or when its last part came, and that of an older
// version when it became one.
func TestVersionsOfOddTimes(t *testing.T) {
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	for name, c := range map[string]struct{ archive, sum, list, oldArchive, oldSum, oldList int }{
		"in order":                {10, 11, 12, 0, 1, 2},
		"older when it became so": {10, 13, 13, 12, 13, 13},
		"older when it became so, and first of it": {10, 12, 12, 12, 12, 12},
		"begun first, ended last":                  {0, 20, 21, 5, 8, 9},
		"all at once":                              {0, 0, 0, 0, 0, 0},
	} {
		s := versioned{Memory: storagetest.NewMemory()}
		for _, o := range []struct {
			suffix   string
			now, old int
		}{{"", c.archive, c.oldArchive}, {".md5", c.sum, c.oldSum}, {".txt", c.list, c.oldList}} {
			key := "disk/x" + tarball.Suffix + o.suffix
			s.SetNow(func() time.Time { return at(o.now) })
			s.Plant(key, []byte("new"))
			for _, v := range []storage.Version{{ID: "2", Latest: true}, {ID: "1"}} {
				v.Object = storage.Object{Key: key, Size: 3, Modified: at(o.now)}
				if !v.Latest {
					v.Modified = at(o.old)
				}
				s.all = append(s.all, v)
			}
		}
		b, err := tarball.Look(t.Context(), s, "disk", now)
		if err != nil || len(b.Archives) != 1 || len(b.Older) != 1 {
			t.Fatalf("%s: %+v, %v", name, b, err)
		}
		for _, a := range slices.Concat(b.Archives, b.Older) {
			want := a.Body.Version
			if a.Sum == nil || a.List == nil || a.Sum.Version != want || a.List.Version != want {
				t.Errorf("%s: version %s: %s: %+v, %+v", name, want, a.Unproved(), a.Sum, a.List)
			}
		}
		if b.Archives[0].Body.Version != "2" {
			t.Errorf("%s: version %s is there", name, b.Archives[0].Body.Version)
		}
	}
}

// A list that is stored again, as that of another split depth is newer, is that of its
// archive, also where a server tells of each older version when it became one.
func TestVersionsOfListsStoredAgain(t *testing.T) {
	stored := map[string][]int{"": {0, 20, 30}, ".md5": {1, 21, 31}, ".txt": {2, 10, 22, 25, 32}} // the second and the fourth again
	want := map[string][2]string{"0": {"1", "10"}, "20": {"21", "25"}, "30": {"31", "32"}}
	for name, c := range map[string]struct{ late, lostSum bool }{"S3": {}, "versitygw": {late: true}, "versitygw, a hash lost": {true, true}} {
		s := versioned{Memory: storagetest.NewMemory()}
		for suffix, times := range stored {
			if c.lostSum && suffix == ".md5" {
				times = times[1:]
			}
			key := "disk/x" + tarball.Suffix + suffix
			s.Plant(key, []byte("x"))
			for i, at := range slices.Backward(times) {
				v := storage.Version{ID: fmt.Sprint(at), Latest: i == len(times)-1}
				if c.late && !v.Latest {
					at = times[i+1]
				}
				v.Object = storage.Object{Key: key, Size: 1, Modified: now.Add(time.Duration(at) * time.Second)}
				s.all = append(s.all, v)
			}
		}
		b, err := tarball.Look(t.Context(), s, "disk", now)
		if err != nil || len(b.Archives) != 1 || len(b.Older) != 2 {
			t.Fatalf("%s: %+v, %v", name, b, err)
		}
		for _, a := range slices.Concat(b.Archives, b.Older) {
			version := func(o *tarball.Object) string {
				if o == nil {
					return ""
				}
				return o.Version
			}
			want := want[a.Body.Version]
			if c.lostSum && version(a.Sum) == "" && a.Body.Version != "30" {
				want[0] = "" // whose the oldest is, nobody knows
			}
			if got := [2]string{version(a.Sum), version(a.List)}; got != want {
				t.Errorf("%s: version %s has %q, want %q", name, a.Body.Version, got, want)
			}
		}
	}
}

// A list with a line that is no name is damaged as any other: it is named, and its
// archive is whole.
func TestListOfOneLongLine(t *testing.T) {
	src := map[string]string{"a": "one"}
	s := storagetest.NewMemory()
	script(t, folder(t, src), 0).put(t, s, "disk/x"+tarball.Suffix)
	s.Plant("disk/x.tar.gz.txt", []byte(strings.Repeat("x", 3<<20)))
	b, a := look(t, s)
	var damages []string
	v := tarball.Verifying{Storage: s, Bucket: b, Tarballs: b.Archives, Report: func(d tarball.Damage) { damages = append(damages, d.Key+": "+d.Problem) }}
	if _, err := v.Verify(t.Context()); err != nil || len(damages) == 0 || !strings.HasPrefix(damages[0], "disk/x.tar.gz.txt: ") {
		t.Errorf("%v: %q", err, damages)
	}
	if counts, err := tarball.CountFiles(t.Context(), s, b.Archives); err != nil || counts[0] != -1 {
		t.Errorf("%v, %v", counts, err)
	}
	dir := t.TempDir()
	_, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Overwrite: tarball.Changed}, dir)
	if err != nil || len(problems) != 1 || !strings.Contains(problems["disk/x.tar.gz"].Error(), "disk/x.tar.gz.txt") || !maps.Equal(files(t, filepath.Join(dir, "x")), src) {
		t.Errorf("%v, %v", problems, err)
	}
}

// A single file may be called as an archive is: what was put from a file says so.
func TestFileCalledArchive(t *testing.T) {
	for name, c := range map[string]struct {
		metadata map[string]string
		beside   bool
		file     bool
	}{
		"of tarn, or of rclone in parts":  {map[string]string{"md5chksum": "x", "mtime": "1764000000.5"}, false, true},
		"of rclone":                       {map[string]string{"mtime": fmt.Sprint(now.Add(-2 * time.Hour).Unix())}, false, true},
		"interrupted after the archive":   {map[string]string{"mtime": fmt.Sprint(now.Add(-time.Minute).Unix())}, false, false},
		"without metadata":                {nil, false, false},
		"with a hash, whatever it claims": {map[string]string{"md5chksum": "x"}, true, false},
	} {
		s := storagetest.NewMemory()
		s.SetNow(func() time.Time { return now })
		if _, err := s.Put(t.Context(), "disk/x.tar.gz", strings.NewReader("content"), storage.PutOptions{Metadata: c.metadata}); err != nil {
			t.Fatal(err)
		}
		if c.beside {
			s.Plant("disk/x.tar.gz.md5", []byte("none"))
		}
		b, err := tarball.Look(t.Context(), s, "disk", now)
		if err != nil || len(b.Files) == 1 != c.file || len(b.Archives) == 1 == c.file {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}
