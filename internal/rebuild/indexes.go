package rebuild

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// indexes makes the index of each archive that has none.
func (r *run) indexes(ctx context.Context) error {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(r.archives)) {
		if !r.indexed[r.archives[key].id] {
			keys = append(keys, key)
		}
	}
	r.Progress.begin("indexes", len(keys))
	for _, key := range keys {
		if err := r.index(ctx, r.archives[key]); err != nil {
			return err
		}
		r.Progress.done.Add(1)
	}
	return nil
}

// index makes the index of one archive, from this machine's copy if it has a
// good one, or else by reading the archive.
func (r *run) index(ctx context.Context, o archiveObject) error {
	obj, err := r.fresh.Storage().Stat(ctx, o.Key)
	if err != nil {
		return r.problem(ctx, o.Key, err, "")
	}
	ix, from, err := r.copied(ctx, o.id, obj), r.Repo, error(nil)
	remade := Remade{Archive: o.id, Key: o.Key, Copied: ix != nil}
	if ix == nil {
		if r.waits(obj) {
			return nil
		}
		from = r.fresh
		if ix, err = r.readIndex(ctx, o.id, obj); err != nil {
			if errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) {
				r.result.Cold = append(r.result.Cold, o.Key)
				return nil
			}
			return r.problem(ctx, o.Key, err, "A killed backup leaves no half archive: this one is damaged, or none of tarn's.")
		}
	}
	if err := from.StoreIndex(ctx, o.id); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	remade.Contents = ix.Contents
	r.result.Remade = append(r.result.Remade, remade)
	r.indexed[o.id] = true
	return r.add(ctx, o.id)
}

// waits reports whether an archive has to be thawed or paid for first, and lists it then.
func (r *run) waits(o storage.Object) bool {
	switch {
	case o.Class.Cold() && !o.Thawed.After(r.now()):
		r.result.Cold = append(r.result.Cold, o.Key)
	case r.Withhold != nil && r.Withhold(o):
		r.result.Withheld = append(r.result.Withheld, o.Key)
	default:
		return false
	}
	return true
}

// copied returns the index of which this machine has a good copy, if the
// archive is what it says.
func (r *run) copied(ctx context.Context, id tarn.ArchiveID, obj storage.Object) *repo.Index {
	if r.Repo.CheckCachedIndex(id) != nil {
		return nil
	}
	ix, err := r.Repo.Index(ctx, id, nil)
	if err != nil || ix.Key != obj.Key || ix.Layout.Stored != obj.Size || obj.Checksum.Known && obj.Checksum.Sum != ix.Layout.CRC64NVME {
		return nil
	}
	return ix
}

// readIndex makes an index from the archive itself, into the scratch cache.
func (r *run) readIndex(ctx context.Context, id tarn.ArchiveID, obj storage.Object) (*repo.Index, error) {
	ids, err := r.Repo.Identities()
	if err != nil {
		return nil, err
	}
	get := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return r.fresh.Storage().Get(ctx, obj.Key, offset, length)
	}
	layout, err := archive.ReadLayout(ctx, obj.Size, get, ids)
	if err != nil {
		return nil, err
	}
	body, err := get(ctx, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	crc := crc64nvme.New()
	src := &counted{src: io.TeeReader(body, crc), progress: r.Progress}
	ixr := &indexer{run: r, id: id, key: obj.Key}
	for m, err := range archive.Members(ctx, src, ids) {
		if err == nil {
			err = ixr.member(m)
		}
		if err != nil {
			return nil, errors.Join(err, ixr.discard())
		}
	}
	if _, err := io.Copy(io.Discard, src); err != nil {
		return nil, errors.Join(err, ixr.discard())
	}
	layout.CRC64NVME = crc.Sum64()
	if src.n != obj.Size || obj.Checksum.Known && obj.Checksum.Sum != layout.CRC64NVME {
		err := fmt.Errorf("%d bytes with CRC64NVME %016x, not %d with %016x: %w", src.n, layout.CRC64NVME, obj.Size, obj.Checksum.Sum, tarn.ErrDamaged)
		return nil, errors.Join(err, ixr.discard())
	}
	return ixr.finish(layout)
}

// counted counts what is read of archives.
type counted struct {
	src      io.Reader
	n        int64
	progress *Progress
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	c.progress.bytes.Add(int64(n))
	return n, err
}

// indexer makes an index from the members of an archive.
type indexer struct {
	run     *run
	id      tarn.ArchiveID
	key     string
	w       *repo.IndexWriter // nil until the split is found
	waiting []repo.Content    // until then
	members int
	bytes   int // of the paths in waiting
}

func (x *indexer) member(m *archive.Member) error {
	if x.members++; x.members > maxMembers {
		return fmt.Errorf("more members than an archive holds: %w", tarn.ErrDamaged)
	}
	e := &m.Entry
	if x.w == nil {
		if split, ok := x.run.splitOf(x.id, x.key, e.Path); ok {
			if err := x.begin(split); err != nil {
				return err
			}
		}
	}
	if e.Type != tarn.TypeFile || m.Link != "" || e.Size == 0 {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, m.Content); err != nil {
		return err
	}
	c := repo.Content{Hash: tarn.ContentHash(h.Sum(nil)), Offset: m.Offset, Size: e.Size, Path: e.Path}
	if x.w != nil {
		return x.w.Add(c)
	}
	if x.bytes += len(c.Path); x.bytes > 64<<20 {
		return x.noSplit()
	}
	x.waiting = append(x.waiting, c)
	return nil
}

func (x *indexer) begin(split string) (err error) {
	if x.w, err = x.run.fresh.NewRebuiltIndex(x.id, split); err != nil {
		return err
	}
	for _, c := range x.waiting {
		if err := x.w.Add(c); err != nil {
			return err
		}
	}
	x.waiting = nil
	return nil
}

func (x *indexer) noSplit() error {
	return fmt.Errorf("no directory of its members gives the name %s: was it renamed? %w", x.key, tarn.ErrDamaged)
}

func (x *indexer) finish(layout archive.Layout) (*repo.Index, error) {
	if x.w == nil {
		return nil, x.noSplit()
	}
	return x.w.Finish(layout)
}

func (x *indexer) discard() error {
	if x.w == nil {
		return nil
	}
	return x.w.Discard()
}

// splitOf finds the split of an archive by the path of a member: the innermost
// split of a snapshot that holds it, or else one of the directories above it. The key
// of an unencrypted repository's archive tells which; an encrypted one's tells
// nothing, and the split is there for people only.
func (r *run) splitOf(id tarn.ArchiveID, key, member string) (string, bool) {
	source, _, _ := strings.Cut(member, "/")
	for dir := member; ; dir = dir[:strings.LastIndexByte(dir, '/')] {
		if r.Repo.ArchiveKey(dir, id) == key && (!r.Repo.Encrypted() || r.known[dir]) {
			return dir, true
		}
		if dir == source {
			return source, r.Repo.ArchiveKey(source, id) == key
		}
	}
}
