package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Kind says what an object of the repository is, by its name.
type Kind int

// The kinds of objects.
const (
	KindUnknown Kind = iota
	KindConfig
	KindRecovery
	KindKeys
	KindArchive
	KindIndex
	KindTree
	KindSnapshot
)

// Listed is an object of the repository and what its name says. Archive is
// set of archives and indexes, the other ids of their kind alone.
type Listed struct {
	storage.Object
	Kind     Kind
	Archive  tarn.ArchiveID
	Tree     tarn.TreeID
	Snapshot tarn.SnapshotID
	Keys     tarn.KeysID
}

// List yields all objects of the repository, sorted by key.
func (r *Repo) List(ctx context.Context) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		for obj, err := range r.storage.List(ctx, "") {
			if err != nil {
				yield(Listed{}, fmt.Errorf("listing %s: %w", r.storage.Location(), err))
				return
			}
			if !yield(r.named(obj), nil) {
				return
			}
		}
	}
}

// named reads the name of an object. One that this repository does not write
// is of unknown kind.
func (r *Repo) named(obj storage.Object) Listed {
	l := Listed{Object: obj}
	known := func(kind Kind, err error) Listed {
		if err == nil {
			l.Kind = kind
		}
		return l
	}
	inner := func(prefix, suffix string) string {
		name, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, prefix), suffix)
		if !ok {
			return "" // which is no id
		}
		return name
	}
	var err error
	switch key := obj.Key; {
	case key == configName:
		return known(KindConfig, nil)
	case key == recoveryName:
		return known(KindRecovery, nil)
	case strings.HasPrefix(key, archivesPrefix):
		l.Archive, err = r.archiveOf(key)
		return known(KindArchive, err)
	case strings.HasPrefix(key, indexesPrefix):
		l.Archive, err = tarn.ParseArchiveID(inner(indexesPrefix, ".jsonl.zst"+r.suffix()))
		return known(KindIndex, err)
	case strings.HasPrefix(key, treesPrefix):
		l.Tree, err = tarn.ParseTreeID(inner(treesPrefix, ".jsonl.zst"+r.suffix()))
		return known(KindTree, err)
	case strings.HasPrefix(key, snapshotPrefix):
		l.Snapshot, err = tarn.ParseSnapshotID(inner(snapshotPrefix, ".json"+r.suffix()))
		return known(KindSnapshot, err)
	case strings.HasPrefix(key, keysPrefix):
		l.Keys, err = tarn.ParseKeysID(inner(keysPrefix, ".json"))
		return known(KindKeys, err)
	}
	return l
}

// IndexKey returns the name of an index in the storage.
func (r *Repo) IndexKey(id tarn.ArchiveID) string { return r.indexKey(id) }

// ArchiveOf returns the archive whose object has that name.
func (r *Repo) ArchiveOf(key string) (tarn.ArchiveID, error) { return r.archiveOf(key) }

// TreeKey returns the name of a tree in the storage.
func (r *Repo) TreeKey(id tarn.TreeID) string { return r.treeKey(id) }

// SnapshotKey returns the name of a snapshot in the storage.
func (r *Repo) SnapshotKey(id tarn.SnapshotID) string { return r.snapshotKey(id) }

// Fresh returns a view of the repository over another cache; with an empty
// one, all that it reads comes from the storage. What the storage fails to give
// is a ReadError there.
func (r *Repo) Fresh(c Cache) *Repo {
	f := *r
	f.cache, f.storage = c, door{r.storage}
	return &f
}

// ReadError marks an error of the storage, which says nothing about the object
// that was read: a connection that broke is no damage.
type ReadError struct{ Err error }

// Error implements error.
func (e *ReadError) Error() string { return e.Err.Error() }

// Unwrap returns what the storage said.
func (e *ReadError) Unwrap() error { return e.Err }

// door marks the errors of reads of a storage.
type door struct{ storage.Storage }

func markRead(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || // an object that is short is damaged
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) {
		return err
	}
	return &ReadError{err}
}

// Get implements storage.Storage.
func (d door) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	body, err := d.Storage.Get(ctx, key, offset, length)
	if err != nil {
		return nil, markRead(err)
	}
	return markedBody{body}, nil
}

// Stat implements storage.Storage.
func (d door) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := d.Storage.Stat(ctx, key)
	return o, markRead(err)
}

type markedBody struct{ io.ReadCloser }

func (b markedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		return n, err
	}
	return n, markRead(err)
}

// CheckConfig reads tarn.json again: it must be what the repository was opened
// by, to the byte, since the keys objects hold it.
func (r *Repo) CheckConfig(ctx context.Context) error {
	data, err := readSmall(ctx, r.storage, configName, maxConfig)
	if err == nil && string(data) != r.config {
		err = fmt.Errorf("%s is not what the repository was opened by: %w", configName, tarn.ErrDamaged)
	}
	return err
}

// CheckKeys reads a keys object, refuses what is not authentic, and reports
// whether it is a copy of the one in force.
func (r *Repo) CheckKeys(ctx context.Context, id tarn.KeysID) (inForce bool, err error) {
	data, err := readSmall(ctx, r.storage, keysKey(id), maxKeys)
	if err != nil {
		return false, err
	}
	k, err := parseKeys(id, data)
	if err == nil {
		err = r.checkKeys(k)
	}
	return err == nil && (r.keys == nil || k.Secret == r.keys.Secret), err
}

// CheckRecovery compares RECOVERY.txt, whose commands a person runs, with what
// this program writes. Another version of the program may have written another.
func (r *Repo) CheckRecovery(ctx context.Context) error {
	data, err := readSmall(ctx, r.storage, recoveryName, maxConfig)
	if err == nil && !bytes.Equal(data, recoveryText) {
		err = fmt.Errorf("it is not what this version of tarn writes: %w", tarn.ErrDamaged)
	}
	return err
}

// CheckCachedIndex verifies the cached copy of an index by its MAC;
// fs.ErrNotExist if there is none.
func (r *Repo) CheckCachedIndex(id tarn.ArchiveID) error {
	return r.checkCopy(indexName(id), r.verifyIndex)
}

// CheckCachedTree verifies the cached copy of a split's tree by its id;
// fs.ErrNotExist if there is none.
func (r *Repo) CheckCachedTree(sp Split) error {
	return r.checkCopy(treeName(sp.Tree), func(src io.Reader) error { return r.verifyTree(src, sp) })
}

func (r *Repo) checkCopy(name string, verify func(io.Reader) error) error {
	f, err := r.cache.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(verify(f), f.Close())
}

// ForgetIndex removes the cached copy of an index.
func (r *Repo) ForgetIndex(id tarn.ArchiveID) error { return r.cache.Forget(indexName(id)) }

// ForgetTree removes the cached copy of a tree.
func (r *Repo) ForgetTree(id tarn.TreeID) error { return r.cache.Forget(treeName(id)) }

// ForgetSnapshot removes the cached copy of a snapshot.
func (r *Repo) ForgetSnapshot(id tarn.SnapshotID) error {
	return r.cache.Forget(snapshotPrefix + string(id) + ".json")
}

// StoreIndex stores the index of an archive that is in the repository, from
// its cached copy; fs.ErrExist if there is an object of its name.
func (r *Repo) StoreIndex(ctx context.Context, id tarn.ArchiveID) error {
	return r.storeCopy(ctx, indexName(id), r.indexKey(id))
}

// StoreTree stores a tree from its cached copy; fs.ErrExist if there is an
// object of its name, whatever is in it.
func (r *Repo) StoreTree(ctx context.Context, id tarn.TreeID) error {
	return r.storeCopy(ctx, treeName(id), r.treeKey(id))
}

func (r *Repo) storeCopy(ctx context.Context, name, key string) error {
	f, err := r.cache.Open(name)
	if err != nil {
		return fmt.Errorf("reading %s from the cache: %w", name, err)
	}
	defer f.Close()
	if err := r.put(ctx, key, f, 0); err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}
