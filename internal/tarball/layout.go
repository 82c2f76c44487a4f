package tarball

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

// What the script calls things.
const (
	Suffix     = ".tar.gz"
	SumSuffix  = ".md5" // after Suffix: the hash over the files
	ListSuffix = ".txt" // after Suffix: the names of the files
	OwnFiles   = "_files"
)

// Kind says what an object of a backup is.
type Kind int

// The kinds of objects. A File is what a backup of a single file consists of:
// any object that is none of the other three.
const (
	Archive Kind = iota
	Sum
	List
	File
)

// String names the kind.
func (k Kind) String() string { return [...]string{"archive", "sum", "list", "file"}[k] }

// Key is what the key of an object says.
type Key struct {
	Kind Kind
	// Name is the backup's name, which the key begins with; it may have slashes.
	Name string
	// Dir is the directory of an archive, relative to the backed up path and
	// with slashes between its components. It is "" for the files that lie in the path
	// itself. A backup of split depth 0 has one archive, whose Dir is the
	// base name of the path: the key alone does not tell it from a directory
	// of that name at depth 1. Of a File it is the file's name.
	Dir string
	// OwnFiles says that an archive has the files of Dir but nothing below it.
	OwnFiles bool
}

// String returns the key of the object.
func (k Key) String() string {
	at := k.Name
	if k.Dir != "" {
		at += "/" + k.Dir
	}
	switch {
	case k.Kind == File:
		return at
	case k.OwnFiles:
		at += "/" + OwnFiles
	}
	return at + Suffix + [...]string{"", SumSuffix, ListSuffix}[k.Kind]
}

// folder is where the members of an archive belong, relative to the folder that was
// backed up; "" is that itself. A path that was given as . or .. is no name to restore to.
func (k Key) folder() string {
	if k.Dir == "." || k.Dir == ".." {
		return ""
	}
	return k.Dir
}

// Of returns the key of another object of the same archive.
func (k Key) Of(kind Kind) Key {
	k.Kind = kind
	return k
}

// ParseKey reads the key of an object of the backup name, and reports whether
// it is one. A directory _files at the split depth has the same key as the
// files beside it; it is read as those.
func ParseKey(name, key string) (Key, bool) {
	rest, ok := strings.CutPrefix(key, name+"/")
	if !ok || rest == "" {
		return Key{}, false
	}
	k := Key{Name: name, Dir: rest, Kind: File}
	for kind, suffix := range map[Kind]string{Archive: Suffix, Sum: Suffix + SumSuffix, List: Suffix + ListSuffix} {
		if dir, ok := strings.CutSuffix(rest, suffix); ok && dir != "" && !strings.HasSuffix(dir, "/") {
			k.Kind, k.Dir = kind, dir
		}
	}
	if k.Kind == File {
		return k, true
	}
	if k.Dir == OwnFiles {
		k.Dir, k.OwnFiles = "", true
	} else if dir, ok := strings.CutSuffix(k.Dir, "/"+OwnFiles); ok {
		k.Dir, k.OwnFiles = dir, true
	}
	return k, true
}

// maxKey is what S3 takes, in bytes.
const maxKey = 1024

// CheckName refuses what can't be the name of a backup.
func CheckName(name string) error {
	if !tarn.ValidPath(name) || !utf8.ValidString(name) || len(name) > maxKey-64 {
		return fmt.Errorf("name %.80q: want words with one slash between two, such as disk or laptop/photos", name)
	}
	return nil
}

// ambiguous refuses a folder whose archive has the key of that of the files
// beside it: each run would put one in the place of the other.
func (k Key) ambiguous() error {
	if !k.OwnFiles && (k.Dir == OwnFiles || strings.HasSuffix(k.Dir, "/"+OwnFiles)) {
		return fmt.Errorf("the folder has the key of the files beside it, %s: rename it, or use another split depth", k)
	}
	return nil
}

// check refuses a key that S3 can't have, or that two programs write
// differently.
func (k Key) check() error {
	key := k.Of(Sum).String()
	if k.Kind == File {
		key = k.String()
	}
	switch {
	case !utf8.ValidString(key):
		return fmt.Errorf("%q is not UTF-8, as keys in S3 have to be: rename it, or use a smaller split depth", k.Dir)
	case !tarn.ValidPath(key):
		return fmt.Errorf("%q can't be part of a key: name the folder itself", k.Dir)
	case len(key) > maxKey:
		return fmt.Errorf("the key %.80q… has %d bytes, and S3 takes %d: use a smaller split depth", key, len(key), maxKey)
	}
	return nil
}
