package tarball

import (
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, test := range []struct {
		key  string
		want Key
		ok   bool
	}{
		{"disk/_files.tar.gz", Key{Name: "disk", OwnFiles: true}, true},
		{"disk/photos.tar.gz", Key{Name: "disk", Dir: "photos"}, true},
		{"disk/photos.tar.gz.md5", Key{Kind: Sum, Name: "disk", Dir: "photos"}, true},
		{"disk/photos/_files.tar.gz.txt", Key{Kind: List, Name: "disk", Dir: "photos", OwnFiles: true}, true},
		{"disk/a/b c.tar.gz.tar.gz", Key{Name: "disk", Dir: "a/b c.tar.gz"}, true},
		{"disk/a_files.tar.gz", Key{Name: "disk", Dir: "a_files"}, true},
		{"disk/..tar.gz", Key{Name: "disk", Dir: "."}, true},
		{"disk/.tar.gz", Key{Kind: File, Name: "disk", Dir: ".tar.gz"}, true},
		{"disk/notes.txt", Key{Kind: File, Name: "disk", Dir: "notes.txt"}, true},
		{"disk/sums.md5", Key{Kind: File, Name: "disk", Dir: "sums.md5"}, true},
		{"disk/", Key{}, false},
		{"disk2/photos.tar.gz", Key{}, false},
		{"disk", Key{}, false},
	} {
		got, ok := ParseKey("disk", test.key)
		if got != test.want || ok != test.ok {
			t.Errorf("%s: %+v, %v; want %+v, %v", test.key, got, ok, test.want, test.ok)
		}
		if ok && got.String() != test.key {
			t.Errorf("%s becomes %s", test.key, got)
		}
	}
	if k, ok := ParseKey("a/b", "a/b/c.tar.gz"); !ok || k.Name != "a/b" || k.Dir != "c" {
		t.Errorf("%+v, %v", k, ok)
	}
}

func TestKeysRefused(t *testing.T) {
	for dir, want := range map[string]string{
		"a\xff": "not UTF-8", "a//b": "can't be part", "": "",
		strings.Repeat("a/", 600) + "b": "S3 takes 1024", "a b": "", "..": "", "_files/a": "", "it's\n": "",
	} {
		k := Key{Name: "disk", Dir: dir, OwnFiles: dir == ""}
		err := k.check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", dir, err, want)
		}
	}
	for dir, ok := range map[string]bool{"_files": false, "a/_files": false, "_files/a": true, "a_files": true} {
		if err := (Key{Name: "disk", Dir: dir}).ambiguous(); (err == nil) != ok {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := (Key{Name: "disk", Dir: "_files", OwnFiles: true}).ambiguous(); err != nil {
		t.Error(err)
	}
	for name, ok := range map[string]bool{"disk": true, "a/b": true, "": false, "/a": false, "a/": false, "a//b": false, "..": false, "é": true, "\xff": false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("name %q: %v", name, err)
		}
	}
}
