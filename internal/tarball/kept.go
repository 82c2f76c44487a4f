package tarball

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// What may be done about an archive that has more than can be read now.
const adviceUnread = "run as a user who may read it, or with --without-unreadable to replace the archive"

// unread are the names of what may not be read.
func (j *job) unread() map[string]bool {
	names := map[string]bool{}
	for _, p := range j.problems {
		if p.unread {
			names[p.name] = true
		}
	}
	return names
}

// keeps is why the archive that is there stays as it is: it has files that can't
// be read now, so that one without them would not be worth as much. Where there is no
// list that tells, it may have them.
func (j *job) keeps(ctx context.Context) (local, err error) {
	unread := j.unread()
	if len(unread) == 0 || j.WithoutUnreadable || !j.archived() {
		return nil, nil
	}
	n, err := j.listedWithin(ctx, unread)
	if err == nil && n == 0 {
		n, err = j.unlistedLost(ctx)
	}
	switch {
	case errors.Is(err, errNoList):
		return fmt.Errorf("the archive that is there is kept, since no list says whether it has what can't be read now: %s", adviceUnread), nil
	case err != nil:
		return nil, err
	case n > 0:
		return fmt.Errorf("the archive that is there is kept, since it has what can't be read now (files: %d): %s", n, adviceUnread), nil
	}
	j.cleared = unread
	return nil, nil
}

var errNoList = errors.New("there is no list of the archive")

// listedWithin counts the files that the list has at and below some names.
func (j *job) listedWithin(ctx context.Context, names map[string]bool) (n int64, err error) {
	key := j.key.Of(List).String()
	list, ok := j.there[key]
	if !ok || list.Size == 0 || list.Modified.Before(j.there[j.key.Of(Archive).String()].Modified) {
		return 0, errNoList
	}
	body, err := j.Storage.Get(ctx, key, 0, -1)
	if err != nil {
		return 0, noList(err)
	}
	defer body.Close()
	for name, err := range Names(body) {
		if err != nil {
			return 0, noList(err)
		}
		if within(names, name) {
			n++
		}
	}
	return n, nil
}

// noList says of an error whether it is that of a list that can't tell anything.
func noList(err error) error {
	for _, of := range []error{fs.ErrNotExist, tarn.ErrCold, tarn.ErrDamaged} {
		if errors.Is(err, of) {
			return errNoList
		}
	}
	return err
}

// within reports whether a name, or a folder that it lies in, is one of some; ""
// is the folder of all.
func within(names map[string]bool, name string) bool {
	if names[""] || names[name] {
		return true
	}
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if names[name[:i]] {
			return true
		}
	}
	return false
}

// unlistedLost is by how many files that no list has the archive has more than
// was found.
func (j *job) unlistedLost(ctx context.Context) (int64, error) {
	in, err := j.over.Inspect(ctx, j.key.Of(Archive).String())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return max(0, unlistedIn(in)-j.unlisted.files), nil
}

// unlistedIn is how many files an archive has that no list has, as its metadata says.
func unlistedIn(in storage.Inspected) (n int64) {
	fmt.Sscan(in.Metadata[unlistedName], &n) // what is no number is none
	return n
}
