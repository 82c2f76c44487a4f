package browse

import (
	"context"
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
	return nil, fmt.Errorf("%q in snapshot %s: %w", name, s.ID, fs.ErrNotExist)
}

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

func matchParts(pattern, name []string) (bool, error) {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			rest := pattern[1:]
			for i := range len(name) + 1 {
				if ok, err := matchParts(rest, name[i:]); ok || err != nil {
					return ok, err
				}
			}
			return false, nil
		}
		if len(name) == 0 {
			return false, nil
		}
		ok, err := path.Match(pattern[0], name[0])
		if !ok || err != nil {
			return false, err
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0, nil
}
