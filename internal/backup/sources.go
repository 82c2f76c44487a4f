package backup

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
)

// openSources opens the sources. One that can't be opened, as of a disk that is
// not mounted, is no reason to leave the others without a backup: it is reported, and
// keeps what the parent has of it. If none can be opened, that is the error.
func (r *run) openSources() (list []*scan.Source, err error) {
	if err := differentNames(r.Sources); err != nil {
		return nil, err
	}
	type unopened struct {
		scan.Config
		err error
	}
	var not []unopened
	var errs []error
	for _, c := range r.Sources {
		s, err := scan.Open(c)
		if errors.As(err, new(*scan.OpenError)) {
			not, errs = append(not, unopened{c, err}), append(errs, err)
			continue
		} else if err != nil {
			return list, err
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, errors.Join(errs...)
	}
	for _, u := range not {
		r.problem(u.Name, u.err)
		if r.parentHas(u.Config) {
			r.hidden = append(r.hidden, u.Name)
		}
	}
	return list, nil
}

// parentHas reports whether the parent has the source, and not another of its
// name.
func (r *run) parentHas(c scan.Config) bool {
	return r.Parent != nil && slices.ContainsFunc(r.Parent.Sources, func(s repo.SourceInfo) bool { return s.Name == c.Name && s.Path == r.pathOf(c) })
}

// pathOf is the path that a snapshot says of a source.
func (r *run) pathOf(c scan.Config) string {
	if origin := r.Origins[c.Name]; origin != "" {
		return origin
	}
	return c.Path
}

func differentNames(configs []scan.Config) error {
	names := map[string]string{}
	for _, c := range configs {
		if other, ok := names[c.Name]; ok {
			return fmt.Errorf("sources %s and %s have the same name %q: name one of them, as in other=%s", other, c.Path, c.Name, c.Path)
		}
		names[c.Name] = c.Path
	}
	return nil
}
