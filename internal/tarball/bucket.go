package tarball

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Object is one version of an object of a backup.
type Object struct {
	cold.Object
	// Version is its id, "" where the storage tells no versions.
	Version  string    `json:"version,omitempty"`
	Modified time.Time `json:"modified"`
	Latest   bool      `json:"latest"`
	ETag     string    `json:"etag,omitempty"`
}

// Tarball is one version of an archive, with what was stored beside it.
type Tarball struct {
	Key  Key
	Body Object
	// Sum and List are the .md5 and the .txt that belong to the version, nil if
	// there are none.
	Sum, List *Object
	// OldSum and OldList say that an .md5 or a .txt is there that is older than the
	// archive, and so says nothing of it: the upload ended between them.
	OldSum, OldList bool
	// Cooled are .md5 and .txt that can't be read before a thaw, as a lifecycle rule
	// makes them. Sum and List don't have them.
	Cooled []Object
}

// Bucket is what there is of one backup.
type Bucket struct {
	Name string
	// Archives are those that are there, sorted by key, and Older what the bucket keeps
	// of earlier versions, sorted by key and the newest first.
	Archives, Older []*Tarball
	// Files are objects that are no archives: backups of single files. OlderFiles are
	// what the bucket keeps of earlier versions, the newest first.
	Files, OlderFiles []Object
	// Orphans are .md5 and .txt of which there is no archive.
	Orphans []Object
	// Kept are older versions of what lies beside archives.
	Kept []Object
	// Unversioned is why no versions are known, nil if they are.
	Unversioned error
	Requests    int64 // that it took
	Cold        int   // archives and files that are not warm
}

// pageSize is how many objects S3 lists in one request.
const pageSize = 1000

// Look looks at a backup: its objects and, as far as the storage tells, their
// versions. Whoever may not list versions, as the user that the script's stack
// makes, gets the objects that are there. Where the storage tells the time, that
// counts, and not now.
func Look(ctx context.Context, s storage.Storage, name string, now time.Time) (*Bucket, error) {
	b := &Bucket{Name: name}
	history := map[string][]Object{}
	n := 0
	for o, err := range s.List(ctx, name+"/") {
		if err != nil {
			return nil, fmt.Errorf("looking at the backup %s: %w", name, err)
		}
		n++
		history[o.Key] = []Object{{Object: cold.ObjectOf(o, storage.TimeOf(s, now)), Modified: o.Modified, Latest: true}}
	}
	b.Requests = int64(max(1, (n+pageSize-1)/pageSize))
	if err := b.versions(ctx, s, now, history); err != nil {
		return nil, err
	}
	b.sort(history)
	return b, b.tellFiles(ctx, s)
}

// versions adds what the storage tells of versions. Of those that are there it
// takes the id, and the rest from the listing without them, which says more on some servers.
func (b *Bucket) versions(ctx context.Context, s storage.Storage, now time.Time, history map[string][]Object) error {
	v, ok := s.(storage.Versioner)
	if !ok {
		b.Unversioned = errors.ErrUnsupported
		return nil
	}
	n := 0
	for o, err := range v.Versions(ctx, b.Name+"/") {
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, tarn.ErrDenied) {
			b.Unversioned = err
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking at the backup %s: %w", b.Name, err)
		}
		n++
		have := history[o.Key]
		switch {
		case o.Deleted:
		case o.Latest && len(have) > 0:
			have[0].Version, have[0].ETag, have[0].Modified = o.ID, o.ETag, o.Modified
		case o.Latest: // stored since
		default:
			history[o.Key] = append(have, Object{Object: cold.ObjectOf(o.Object, storage.TimeOf(s, now)), Version: o.ID, Modified: o.Modified, ETag: o.ETag})
		}
	}
	b.Requests += int64(max(1, (n+pageSize-1)/pageSize))
	return nil
}

// sort says what each object is. Of a key the one that is there comes first, and
// then those before it as the storage tells them, the newest first. Their times are no
// order: that of an object in parts is when its upload began, on some servers when it
// ended, and some say of an older version when it became one.
func (b *Bucket) sort(history map[string][]Object) {
	for key, list := range history {
		k, ok := ParseKey(b.Name, key)
		if !ok {
			continue
		}
		// One that was deleted is there no more, though the bucket has its versions.
		archived := slices.ContainsFunc(history[k.Of(Archive).String()], func(o Object) bool { return o.Latest })
		switch {
		case k.Kind == Archive:
			b.archives(k, list, history)
		case k.Kind == File:
			b.plain(list, &b.Files, &b.OlderFiles)
		case !archived:
			b.plain(list, &b.Orphans, &b.Kept)
		default:
			b.plain(list, nil, &b.Kept)
		}
	}
	byKey := func(x, y *Tarball) int { return strings.Compare(x.Body.Key, y.Body.Key) }
	slices.SortFunc(b.Archives, byKey)
	slices.SortStableFunc(b.Older, byKey)
	for _, list := range [][]Object{b.Files, b.OlderFiles, b.Orphans, b.Kept} {
		slices.SortStableFunc(list, func(x, y Object) int { return strings.Compare(x.Key, y.Key) })
	}
}

func (b *Bucket) plain(list []Object, there, older *[]Object) {
	for _, o := range list {
		switch {
		case !o.Latest:
			*older = append(*older, o)
		case there != nil:
			*there = append(*there, o)
			if o.State != cold.Warm {
				b.Cold++
			}
		}
	}
}

func (b *Bucket) archives(k Key, list []Object, history map[string][]Object) {
	var newer time.Time
	sums, lists := history[k.Of(Sum).String()], history[k.Of(List).String()]
	late := tellsLate(sums) || tellsLate(lists)
	at, sumsAt, listsAt := storedAt(list, late, len(list)), storedAt(sums, late, len(list)), storedAt(lists, late, len(list))
	for i, o := range list {
		a := &Tarball{Key: k, Body: o}
		a.Sum, a.OldSum = beside(sums, sumsAt, at[i], newer)
		a.List, a.OldList = beside(lists, listsAt, at[i], newer)
		// Of as many uploads as hashes and lists, each has its own.
		if a.Sum == nil && a.List == nil && !o.Latest && len(sums) == len(list) && len(lists) == len(list) {
			a.Sum, a.List = &sums[i], &lists[i]
		}
		for _, side := range []**Object{&a.Sum, &a.List} {
			if *side != nil && !(*side).Readable() {
				a.Cooled = append(a.Cooled, **side)
				*side = nil
			}
		}
		if o.State != cold.Warm {
			b.Cold++
		}
		if o.Latest {
			b.Archives = append(b.Archives, a)
		} else {
			b.Older = append(b.Older, a)
		}
		newer = at[i]
	}
}

// tellsLate reports whether a server tells of an older version when it became one, as
// versitygw does, by those of an object that is always stored by one request.
func tellsLate(list []Object) bool {
	return len(list) > 1 && list[0].Latest && !list[1].Modified.Before(list[0].Modified)
}

// storedAt is when each version of an object was stored. A server that tells late says
// that of the one before it. Of the oldest nobody knows: it is of the oldest archive, if
// there is one for each archive.
func storedAt(list []Object, late bool, archives int) []time.Time {
	at := make([]time.Time, len(list))
	for i, o := range list {
		switch {
		case late && !o.Latest && i+1 < len(list):
			at[i] = list[i+1].Modified
		case !late || o.Latest || len(list) < archives:
			at[i] = o.Modified
		}
	}
	return at
}

// beside finds what was stored with a version of an archive: the script stores
// the archive, then its hash and its list. since is when it was stored, and newer when
// the next version came, zero if none did.
func beside(list []Object, stored []time.Time, since, newer time.Time) (found *Object, old bool) {
	for i, at := range stored { // the newest first
		switch {
		case at.Before(since):
			return nil, newer.IsZero()
		case newer.IsZero() || at.Before(newer):
			return &list[i], false
		}
	}
	return nil, false
}

// openObject reads an object from its beginning to its end.
func openObject(ctx context.Context, s storage.Storage, o *Object) (io.ReadCloser, error) {
	if v, ok := s.(storage.Versioner); ok && !o.Latest {
		return v.GetVersion(ctx, o.Key, o.Version, 0, -1)
	}
	return s.Get(ctx, o.Key, 0, -1)
}

// Unproved says why nothing beside the archive proves its content; "" if a reading
// to its end shows whether it is right.
func (a *Tarball) Unproved() string {
	var why []string
	for _, side := range []struct {
		suffix string
		found  *Object
		old    bool
	}{{SumSuffix, a.Sum, a.OldSum}, {ListSuffix, a.List, a.OldList}} {
		key := a.Body.Key + side.suffix
		i := slices.IndexFunc(a.Cooled, func(o Object) bool { return o.Key == key })
		switch {
		case side.found != nil:
		case i >= 0:
			why = append(why, fmt.Sprintf("its %s lies in %s, where it can't be read", side.suffix, a.Cooled[i].Class))
		case side.old:
			why = append(why, fmt.Sprintf("the %s beside it is older than it", side.suffix))
		default:
			why = append(why, fmt.Sprintf("its %s is not there", side.suffix))
		}
	}
	return strings.Join(why, ", ")
}

// Finished reports whether a hash was ever stored beside the archive. Without one its
// upload may have been of what a tar had written when it was killed, the first time that
// there was such an archive; an old hash says that what was there before is older still.
func (a *Tarball) Finished() bool {
	return a.Sum != nil || a.OldSum || slices.ContainsFunc(a.Cooled, func(o Object) bool { return strings.HasSuffix(o.Key, SumSuffix) })
}

// ReadSum returns the hash that lies beside an archive.
func (a *Tarball) ReadSum(ctx context.Context, s storage.Storage) (MD5, error) {
	r, err := openObject(ctx, s, a.Sum)
	if err != nil {
		return MD5{}, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, 1<<10))
	if err != nil {
		return MD5{}, err
	}
	sum, err := ParseSum(text)
	if err != nil {
		return sum, fmt.Errorf("reading %s: %w: %w", a.Sum.Key, tarn.ErrDamaged, err)
	}
	return sum, nil
}

// Names yields the names in the list that lies beside an archive.
func (a *Tarball) Names(ctx context.Context, s storage.Storage) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		r, err := openObject(ctx, s, a.List)
		if err != nil {
			yield("", err)
			return
		}
		defer r.Close()
		for name, err := range Names(r) {
			if err != nil {
				err = fmt.Errorf("%s: %w", a.List.Key, err)
			}
			if !yield(name, err) || err != nil {
				return
			}
		}
	}
}

// Title is the archive's key without what all keys of the backup have: what
// users name it by.
func (a *Tarball) Title() string {
	return strings.TrimSuffix(strings.TrimPrefix(a.Body.Key, a.Key.Name+"/"), Suffix)
}

// Place is where a member of the archive belongs, relative to the folder that
// was backed up; for the one archive of a split depth of 0, to the folder above it, unless
// the path was given as . or ..
func (a *Tarball) Place(member string) string {
	switch folder := a.Key.folder(); {
	case folder == "":
		return member
	case member == "":
		return folder
	default:
		return folder + "/" + member
	}
}

// Member is what a place below the archive's folder is called in it.
func (a *Tarball) Member(place string) string {
	if folder := a.Key.folder(); folder != "" {
		return strings.TrimPrefix(place, folder+"/")
	}
	return place
}

// Unfinished are the uploads of a backup that have not ended: those of runs under
// way, and what killed ones have left. A storage that does not tell has none.
func Unfinished(ctx context.Context, s storage.Storage, name string) (list []storage.Upload, err error) {
	u, ok := s.(storage.Unfinisher)
	if !ok {
		return nil, nil
	}
	for one, err := range u.Unfinished(ctx, name+"/") {
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, tarn.ErrDenied) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// Summary is what a bucket holds under one name.
type Summary struct {
	Name     string `json:"name"`
	Archives int64  `json:"tarballs"`
	Bytes    int64  `json:"bytes"` // of the archives
}

// Backups finds the backups in a bucket, by the hashes beside archives. Of a name
// with slashes it has what stands before the first.
func Backups(ctx context.Context, s storage.Storage) ([]Summary, error) {
	var list []Summary
	var size int64 // of the archive whose hash comes next
	var last string
	for o, err := range s.List(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("looking for backups: %w", err)
		}
		name, _, below := strings.Cut(o.Key, "/")
		switch {
		case strings.HasSuffix(o.Key, Suffix):
			last, size = o.Key, o.Size
		case below && o.Key == last+SumSuffix:
			if n := len(list); n == 0 || list[n-1].Name != name {
				list = append(list, Summary{Name: name})
			}
			list[len(list)-1].Archives++
			list[len(list)-1].Bytes += size
		}
	}
	return list, nil
}
