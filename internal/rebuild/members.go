package rebuild

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/repo"
)

// entries are in the order of tarn.ComparePaths. An entry is valid until the next.
type entries = iter.Seq2[*tarn.Entry, error]

// fanIn bounds the lists that are merged, and so open, at once.
const fanIn = 16

// merge yields the entries of several lists in one order. Of equal paths, that
// of the last list counts.
func merge(lists []entries) entries {
	type head struct {
		next func() (*tarn.Entry, error, bool)
		e    *tarn.Entry
	}
	return func(yield func(*tarn.Entry, error) bool) {
		heads := make([]head, len(lists))
		advance := func(h *head) bool {
			e, err, ok := h.next()
			if !ok {
				h.e = nil
				return true
			}
			h.e = e
			return err == nil || yield(nil, err) && false
		}
		for i, l := range lists {
			next, stop := iter.Pull2(l)
			defer stop()
			heads[i].next = next
			if !advance(&heads[i]) {
				return
			}
		}
		for {
			var best *tarn.Entry
			for _, h := range heads {
				if h.e != nil && (best == nil || tarn.ComparePaths(h.e.Path, best.Path) <= 0) {
					best = h.e
				}
			}
			if best == nil || !yield(best, nil) {
				return
			}
			path := best.Path
			for i := range heads {
				if h := &heads[i]; h.e != nil && h.e.Path == path && !advance(h) {
					return
				}
			}
		}
	}
}

// between returns the archives of a split that were written after one snapshot
// and up to another, older ones first.
func (r *run) between(split string, after, until tarn.SnapshotID) []indexed {
	list := slices.DeleteFunc(slices.Clone(r.splits[split]), func(a indexed) bool {
		return !a.id.Time().After(after.Time()) && after != "" || a.id.Time().After(until.Time())
	})
	slices.SortFunc(list, func(a, b indexed) int { return strings.Compare(string(a.id), string(b.id)) })
	return list
}

// members returns the entries of a split that archives hold, in lists as the
// archives are given, unless some of them have to wait.
func (r *run) members(ctx context.Context, all []indexed, split string) (lists []entries, waiting bool, err error) {
	for _, a := range all {
		obj, err := r.fresh.Storage().Stat(ctx, a.key)
		if errors.As(err, new(*repo.ReadError)) {
			return nil, false, err
		}
		if err == nil && r.waits(obj) {
			waiting = true
		}
	}
	if waiting {
		return nil, true, nil
	}
	for _, a := range all {
		list, err := r.archive(ctx, a, split)
		if errors.As(err, new(*repo.ReadError)) {
			return nil, false, err
		}
		if _, told := r.gone[a.id]; told && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			if err := r.problem(ctx, a.key, err, ""); err != nil {
				return nil, false, err
			}
			continue
		}
		if lists = append(lists, r.fresh.Tree(ctx, list)); len(lists) == fanIn {
			one, err := r.spool(split, merge(lists))
			if err != nil {
				return nil, false, err
			}
			lists = []entries{r.fresh.Tree(ctx, one)}
		}
	}
	return lists, false, nil
}

// spool writes entries into a tree of the scratch cache, which is how lists
// that are larger than memory are kept.
func (r *run) spool(split string, list entries) (repo.Split, error) {
	w, err := r.fresh.NewTree()
	if err != nil {
		return repo.Split{}, err
	}
	for e, err := range list {
		if err == nil {
			err = w.Add(e)
		}
		if err != nil {
			return repo.Split{}, errors.Join(err, w.Discard())
		}
	}
	t, err := w.Finish()
	return repo.Split{Path: split, Tree: t.ID, Size: t.Size, Counts: t.Counts}, err
}

// archive spools the entries of one archive's members that lie in the split.
// Their content hashes are those of its index.
func (r *run) archive(ctx context.Context, a indexed, split string) (repo.Split, error) {
	hashes, err := r.hashes(ctx, a.id)
	if err != nil {
		return repo.Split{}, err
	}
	ids, err := r.Repo.Identities()
	if err != nil {
		return repo.Split{}, err
	}
	body, err := r.fresh.Storage().Get(ctx, a.key, 0, -1)
	if err != nil {
		return repo.Split{}, err
	}
	defer body.Close()
	c := collector{id: a.id, hashes: hashes, at: map[string]int{}}
	for m, err := range archive.Members(ctx, &counted{src: body, progress: r.Progress}, ids) {
		if errors.As(err, new(*repo.ReadError)) {
			return repo.Split{}, err
		}
		if err != nil {
			// What came before the damage is as good as ever.
			if err := r.problem(ctx, a.key, err, ""); err != nil {
				return repo.Split{}, err
			}
			break
		}
		c.add(m)
		if len(c.list) > maxMembers {
			return repo.Split{}, fmt.Errorf("more members than an archive holds: %w", tarn.ErrDamaged)
		}
	}
	slices.SortFunc(c.list, func(a, b tarn.Entry) int { return tarn.ComparePaths(a.Path, b.Path) })
	return r.spool(split, func(yield func(*tarn.Entry, error) bool) {
		for i := range c.list {
			if tarn.Within(c.list[i].Path, split) && !yield(&c.list[i], nil) {
				return
			}
		}
	})
}

// hashes returns the contents of an archive by their offsets.
func (r *run) hashes(ctx context.Context, id tarn.ArchiveID) (map[int64]tarn.ContentHash, error) {
	hashes := map[int64]tarn.ContentHash{}
	_, err := r.fresh.Index(ctx, id, func(c repo.Content) error {
		if len(hashes) >= maxMembers {
			return fmt.Errorf("it names more contents than an archive holds: %w", tarn.ErrDamaged)
		}
		hashes[c.Offset] = c.Hash
		return nil
	})
	if err != nil {
		return nil, err
	}
	return hashes, r.fresh.ForgetIndex(id)
}

// collector makes entries of the members of an archive; the last of a path counts.
type collector struct {
	id     tarn.ArchiveID
	hashes map[int64]tarn.ContentHash
	list   []tarn.Entry
	at     map[string]int // in list
}

func (c *collector) add(m *archive.Member) {
	e := m.Entry
	if m.Link != "" {
		i, ok := c.at[strings.TrimSuffix(m.Link, "/")]
		if !ok {
			return // the file that it is a name of could not be stored
		}
		// The number of the inode is not in the archive. Any will do that the
		// names of a file share and no other file has.
		target := &c.list[i]
		if target.Inode == 0 {
			h := fnv.New64a()
			h.Write([]byte(string(c.id) + "/" + target.Path)) // never fails
			target.Inode = h.Sum64()>>12 | 1
		}
		e.Size, e.Content, e.Inode = target.Size, target.Content, target.Inode
	} else if e.Type == tarn.TypeFile && e.Size > 0 {
		h, ok := c.hashes[m.Offset]
		if !ok {
			return // a reading that failed, which no entry named
		}
		e.Content = h
	}
	if i, ok := c.at[e.Path]; ok {
		c.list[i] = e
		return
	}
	c.at[e.Path] = len(c.list)
	c.list = append(c.list, e)
}
