package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

// sources reads the arguments of backup: PATH or NAME=PATH, and what the flags
// leave out of each.
func (f backupFlags) sources(args []string) (list []scan.Config, err error) {
	patterns, err := f.patterns()
	if err != nil {
		return nil, err
	}
	if _, err := f.size(); err != nil {
		return nil, err
	}
	var absent []error
	for _, arg := range args {
		name, path, err := parseSource(arg)
		if errors.As(err, new(*absentSource)) { // which backup reports, if there are others
			absent = append(absent, err)
		} else if err != nil {
			return nil, err
		}
		list = append(list, scan.Config{
			Path: path, Name: name, SplitDepth: f.splitDepth, Excludes: patterns, ExcludeCaches: f.excludeCaches,
			ExcludeIfPresent: f.excludeIfPresent, OneFileSystem: f.oneFileSystem, IgnoreFile: ignoreFile,
		})
	}
	if len(absent) == len(args) { // before a repository is made for nothing
		return nil, hinted{errors.Join(absent...), "Check the path, or mount what holds it."}
	}
	return list, nil
}

// absentSource says that a source is not there.
type absentSource struct {
	arg string
	err error
}

// Error names the argument.
func (a *absentSource) Error() string { return fmt.Sprintf("source %s: %s", a.arg, a.err) }

// Unwrap returns the system's error.
func (a *absentSource) Unwrap() error { return a.err }

// parseSource reads PATH or NAME=PATH. Both are good also with an *absentSource.
func parseSource(arg string) (name, path string, err error) {
	name, path, named := strings.Cut(arg, "=")
	if _, err := os.Lstat(arg); !named || err == nil { // err == nil: a file with an = in its name
		name, path, named = "", arg, false
	}
	switch {
	case named && name == "":
		return "", "", hinted{fmt.Errorf("source %q: no name before the =", arg), "Write NAME=PATH, or the path alone."}
	case path == "":
		return "", "", hinted{fmt.Errorf("source %q: no path", arg), "Name a folder or a file; . is the folder that you are in."}
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", "", fmt.Errorf("source %s: %w", arg, err)
	}
	if !named {
		name = filepath.Base(path)
	}
	if !tarn.ValidPath(name) || strings.Contains(name, "/") || name == filepath.VolumeName(path)+string(filepath.Separator) {
		return "", "", fmt.Errorf("source %q has no usable name: give one, as in NAME=%s", arg, path)
	}
	if _, err := os.Stat(path); err != nil {
		if _, linkErr := os.Lstat(path); linkErr != nil { // a dangling symlink can be backed up
			return name, path, &absentSource{arg, bare(err)}
		}
	}
	return name, path, nil
}

// patterns are those of --exclude and of the exclude files.
func (f backupFlags) patterns() ([]string, error) {
	for _, p := range f.excludes {
		if err := scan.CheckExclude(p); err != nil {
			return nil, fmt.Errorf("--exclude: %w", err)
		}
	}
	for _, name := range f.excludeIfPresent {
		if strings.Contains(name, "/") {
			return nil, fmt.Errorf("--exclude-if-present %q: want the name of a file, without a slash", name)
		}
	}
	patterns := slices.Clone(f.excludes)
	for _, file := range f.excludeFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading --exclude-file: %w", err)
		}
		more, err := scan.ParseExcludeFile(file, text)
		if err != nil {
			return nil, fmt.Errorf("--exclude-file: %w", err)
		}
		patterns = append(patterns, more...)
	}
	return patterns, nil
}

// tagList is the value of --tag. A comma parts two tags, since lists show them
// so; one that is given twice counts once.
type tagList []string

// Set adds the tags of one --tag.
func (l *tagList) Set(value string) error {
	for tag := range strings.SplitSeq(value, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			return errors.New("a tag is empty")
		}
		if !slices.Contains(*l, tag) {
			*l = append(*l, tag)
		}
	}
	return nil
}

// String shows the tags as Set reads them.
func (l *tagList) String() string { return strings.Join(*l, ",") }

// Type is what the help calls a value.
func (l *tagList) Type() string { return "tags" }
