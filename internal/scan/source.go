package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tarn-backup/tarn"
)

// Config says what a source is and what of it is left out.
type Config struct {
	// Path is the source on disk: a directory, or one file. A symlink to a
	// directory is followed; a symlink to anything else is itself the source.
	Path string
	// Name is the source's name: the first component of each Entry.Path.
	Name string
	// SplitDepth is how many levels below the source its splits lie; with 0
	// the whole source is one split.
	SplitDepth int
	// Excludes are gitignore patterns relative to the source's root, as git's
	// own --exclude takes them: each is a pattern, never a comment. ParseExcludes makes
	// them of a file. They outrank ignore files, and they never exclude the root.
	Excludes []string
	// ExcludeCaches leaves out the content of directories with a valid
	// CACHEDIR.TAG. The directory and the tag stay.
	ExcludeCaches bool
	// ExcludeIfPresent leaves out the content of directories that have an
	// entry of one of these names. The directory stays, and the entry
	// unless it is a directory.
	ExcludeIfPresent []string
	// OneFileSystem leaves out the content of directories that lie on
	// another device than the root: mount points stay, empty.
	OneFileSystem bool
	// IgnoreFile names the files that hold excludes for their directory and
	// below, as .gitignore does; empty means that there are none.
	IgnoreFile string
	// KeepSystem walks into the folders that a system keeps for itself, too,
	// which are left out otherwise.
	KeepSystem bool
	// ByteOrder sorts the entries of a split by the bytes of their paths, where
	// that of a directory ends in a slash. What is no directory is then in the order
	// of `sort` in the C locale: "a.b" before "a/b". So are the splits.
	ByteOrder bool
}

// Source is an open source. Its methods may be called at the same time.
type Source struct {
	cfg      Config
	disk     string // absolute path of root
	root     root
	leaf     string // name below root of a source that is no directory
	device   uint64 // of the root, if OneFileSystem
	excludes rules
	names    *ownerNames
	ahead    *ahead
}

// Open opens a source: an *OpenError if that fails, and not for what cfg says.
// The caller closes it.
func Open(cfg Config) (*Source, error) {
	if !tarn.ValidPath(cfg.Name) || strings.Contains(cfg.Name, "/") {
		return nil, fmt.Errorf("source %s: %q can't be a source's name: name it as in NAME=PATH", cfg.Path, cfg.Name)
	}
	if cfg.SplitDepth < 0 {
		return nil, fmt.Errorf("source %s: split depth %d: want 0 or more", cfg.Path, cfg.SplitDepth)
	}
	if strings.Contains(cfg.IgnoreFile, "/") {
		return nil, fmt.Errorf("source %s: ignore file %q: want a name without a slash", cfg.Path, cfg.IgnoreFile)
	}
	disk, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("opening source %s: %w", cfg.Path, err)
	}
	s := &Source{cfg: cfg, disk: disk, names: newOwnerNames(), ahead: newAhead()}
	s.excludes.patterns = compilePatterns(cfg.Excludes)
	// Stat follows a symlink, and its error for a dangling one must not hide
	// that the symlink itself can be backed up.
	info, err := os.Stat(disk)
	if err != nil || !info.IsDir() {
		if _, err := os.Lstat(disk); err != nil {
			return nil, openError(cfg.Path, err)
		}
		s.disk, s.leaf = filepath.Split(disk)
	}
	s.root, err = openRoot(s.disk)
	if err != nil {
		return nil, openError(cfg.Path, err)
	}
	if s.leaf == "" {
		err = s.look()
	}
	if err != nil {
		return nil, errors.Join(openError(cfg.Path, err), s.root.close())
	}
	return s, nil
}

// look makes sure that the root can be read and learns its device.
func (s *Source) look() error {
	d, err := s.openDir("")
	if err != nil {
		return err
	}
	defer d.close()
	if s.cfg.OneFileSystem {
		s.device, err = d.device()
	}
	return err
}

// OpenError says that a source can't be opened now: it is not there, or may not
// be read.
type OpenError struct {
	Path string
	Err  error
}

// Error names the source and says what to do.
func (e *OpenError) Error() string {
	text := fmt.Sprintf("opening source %s: %s", e.Path, e.Err)
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		text += ": check the path, or mount what holds it"
	case errors.Is(e.Err, fs.ErrPermission):
		text += ": run as a user who may read it"
	}
	return text
}

// Unwrap returns the system's error.
func (e *OpenError) Unwrap() error { return e.Err }

func openError(path string, err error) error { return &OpenError{path, bare(err)} }

// bare strips what os puts around a system error, since ours name the path.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// Close releases the source, after the iterations over it have ended.
func (s *Source) Close() error {
	s.ahead.close()
	return s.root.close()
}

// rel turns an entry's path into a path below the source's root, which itself is "".
func (s *Source) rel(path string) (string, error) {
	if !tarn.ValidPath(path) || !tarn.Within(path, s.cfg.Name) {
		return "", fmt.Errorf("path %q: not in source %s", path, s.cfg.Name)
	}
	rel := strings.TrimPrefix(path[len(s.cfg.Name):], "/")
	if s.leaf != "" && rel != "" {
		return "", fmt.Errorf("path %q: source %s is not a directory: %w", path, s.cfg.Name, fs.ErrNotExist)
	}
	return rel, nil
}

// entryPath is the inverse of rel.
func (s *Source) entryPath(rel string) string { return join(s.cfg.Name, rel) }

// onDisk is the path of an entry for messages.
func (s *Source) onDisk(rel string) string { return filepath.Join(s.disk, s.below(rel)) }

// entryOnDisk is onDisk for an entry's path.
func (s *Source) entryOnDisk(path string) string {
	return s.onDisk(strings.TrimPrefix(path[len(s.cfg.Name):], "/"))
}

// below is the path under s.root: rel, or the one name of a source that is no directory.
func (s *Source) below(rel string) string {
	if s.leaf != "" {
		return s.leaf
	}
	return rel
}

// join joins two slash-separated paths, of which one may be empty.
func join(dir, name string) string {
	switch {
	case dir == "":
		return name
	case name == "":
		return dir
	}
	return dir + "/" + name
}

// cut splits a path into its directory, "" at the top, and its last name.
func cut(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}
