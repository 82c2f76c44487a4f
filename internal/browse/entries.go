package browse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// CleanPaths brings paths that a person typed into the form of entries.
func CleanPaths(paths []string) ([]string, error) {
	var list []string
	for _, p := range paths {
		c := strings.TrimPrefix(path.Clean(p), "/")
		if p == "" {
			return nil, errors.New("an empty path: want a path inside of the snapshot, or / for all of it")
		}
		if c == "." || c == "" {
			return nil, nil // everything
		}
		if !tarn.ValidPath(c) {
			return nil, fmt.Errorf("path %q: want a path inside of the snapshot, such as Pictures/2010", p)
		}
		list = append(list, c)
	}
	return list, nil
}

// Entry finds one entry of a snapshot.
func Entry(ctx context.Context, r *repo.Repo, s *repo.Snapshot, name string) (*tarn.Entry, error) {
	for e, err := range r.Entries(ctx, s, []string{name}) {
		if err != nil {
			return nil, err
		}
		if e.Path == name {
			found := *e
			return &found, nil
		}
	}
	return nil, &absentError{fmt.Sprintf("%q is not in snapshot %s", name, s.ID)}
}

// absentError says in a sentence what is not there. It is fs.ErrNotExist, whose
// own words are about files.
type absentError struct{ text string }

func (e *absentError) Error() string { return e.text }

// Is makes it fs.ErrNotExist.
func (e *absentError) Is(target error) bool { return target == fs.ErrNotExist }

// Match reports whether a pattern finds an entry. A pattern with a slash is
// matched against the whole path, where ** stands for any number of
// components; one without, against the name. * ? and [] are as in a shell. A pattern
// without any of them finds names that contain it, in any case.
func Match(pattern, name string) (bool, error) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	if !strings.ContainsAny(pattern, "*?[") {
		if strings.Contains(pattern, "/") {
			return strings.Contains(strings.ToLower(name), strings.ToLower(pattern)), nil
		}
		return strings.Contains(strings.ToLower(base), strings.ToLower(pattern)), nil
	}
	if !strings.Contains(pattern, "/") {
		return path.Match(pattern, base)
	}
	return matchParts(strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(name, "/"))
}

// matchParts matches components: reach[i] says that the parts of the pattern so
// far can stand for the first i components of the name. Trying each ** in turn
// instead would take exponential time.
func matchParts(pattern, name []string) (bool, error) {
	reach, next := make([]bool, len(name)+1), make([]bool, len(name)+1)
	reach[0] = true
	for _, part := range pattern {
		if _, err := path.Match(part, ""); err != nil {
			return false, err
		}
		clear(next)
		for i := range next {
			switch {
			case part == "**":
				next[i] = reach[i] || i > 0 && next[i-1]
			case i > 0 && reach[i-1]:
				ok, err := path.Match(part, name[i-1])
				if err != nil {
					return false, err
				}
				next[i] = ok
			}
		}
		reach, next = next, reach
	}
	return reach[len(name)], nil
}
