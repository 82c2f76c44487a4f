package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"filippo.io/age/plugin"

	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/local"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/warm"
)

// opened is a repository with what this machine has of it.
type opened struct {
	*repo.Repo
	dirs     machine.Dirs
	location string
	contents *catalog.Contents
}

// Close writes the catalog.
func (o *opened) Close() error { return o.contents.Close() }

// location returns the repository that the flags name; if none, that of the
// settings, or else the default folder.
func (g *globals) location(dirs machine.Dirs) (string, error) {
	if g.repo != "" {
		return parsePlace(g.repo)
	}
	s, err := dirs.Settings()
	if err != nil {
		return "", err
	}
	if own := s.Storages[s.Repository]; own.Gone != "" {
		return "", hinted{
			fmt.Errorf("repository %s: its stack %s was removed (%s), and this machine's access key with it: nothing was done", s.Repository, own.Stack, own.Gone),
			"`tarn cloud deploy` makes a bucket anew. --repo or TARN_REPO names another repository, or this one, for credentials that may read it (--aws-profile). " +
				"To go back to the local one, delete \"repository\" in " + dirs.SettingsPath() + ".",
		}
	}
	if s.Repository != "" {
		return parsePlace(s.Repository)
	}
	return dirs.DefaultRepository(), nil
}

// storage opens the place of a repository; create makes the folder of a local one.
func (g *globals) storage(ctx context.Context, location string, create bool) (storage.Storage, error) {
	if !inS3(location) {
		if create {
			return local.Create(location)
		}
		s, err := local.Open(location)
		if notExist(err) {
			return nil, g.noRepository(location)
		}
		return s, err
	}
	access, err := g.access(location)
	if err != nil {
		return nil, err
	}
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(location, schemeS3), "/")
	return s3.Open(ctx, s3.Config{
		Bucket: bucket, Prefix: prefix, Endpoint: access.Endpoint, Profile: access.Profile, Region: access.Region,
	})
}

// access is how a bucket is reached: as the flags say, else as `tarn cloud` has
// set it up on this machine. Its key goes before one in the environment, which as
// a rule is that of the person who has deployed, and may do more.
func (g *globals) access(location string) (machine.Access, error) {
	given := machine.Access{Profile: g.profile, Region: g.region, Endpoint: g.endpoint}
	dirs, err := machine.UserDirs(g.getenv)
	if err != nil {
		return given, err
	}
	settings, err := dirs.Settings()
	if err != nil {
		return given, err
	}
	own := settings.Storages[location]
	if given.Profile == "" {
		given.Profile = own.Profile
	}
	if given.Region == "" {
		given.Region = own.Region
	}
	if given.Endpoint == "" && g.getenv("AWS_ENDPOINT_URL_S3") == "" && g.getenv("AWS_ENDPOINT_URL") == "" {
		given.Endpoint = own.Endpoint
	}
	return given, nil
}

// where is this user's folders, and the repository that is named.
func (g *globals) where() (dirs machine.Dirs, location string, err error) {
	if dirs, err = machine.UserDirs(g.getenv); err != nil {
		return dirs, "", err
	}
	location, err = g.location(dirs)
	return dirs, location, err
}

func (g *globals) noRepository(location string) error {
	return hinted{fmt.Errorf("no repository in %s", location), "Make one with `tarn init`, or name another with --repo or TARN_REPO."}
}

// open opens the repository and brings the catalog in step.
func (g *globals) open(ctx context.Context) (*opened, error) {
	dirs, location, err := g.where()
	if err != nil {
		return nil, err
	}
	if err := g.checkIdentities(); err != nil {
		return nil, err
	}
	s, err := g.storage(ctx, location, false)
	if err != nil {
		return nil, err
	}
	return g.openAt(ctx, dirs, location, s)
}

func (g *globals) openAt(ctx context.Context, dirs machine.Dirs, location string, s storage.Storage) (*opened, error) {
	known, err := dirs.Recall(location)
	if err != nil {
		return nil, err
	}
	opts := g.options(dirs)
	if known != nil {
		opts.Known = &repo.Known{ID: known.ID, Key: repo.Key(padded(known.Key))}
	}
	r, err := repo.Open(ctx, s, opts)
	switch {
	case errors.Is(err, repo.ErrNoRepository):
		return nil, g.noRepository(location)
	case errors.Is(err, repo.ErrReplaced):
		return nil, hinted{err, "If you made it anew on purpose, delete " + dirs.RecordPath(location)}
	case err != nil:
		return nil, err
	}
	if err := g.keys.suits(r); err != nil {
		return nil, err
	}
	folder := dirs.Catalog(r.Config.ID)
	files, err := catalog.OpenFiles(folder)
	if err != nil {
		return nil, err
	}
	r.UseCache(files)
	contents, err := catalog.OpenContents(filepath.Join(folder, "contents"))
	if err != nil {
		return nil, err
	}
	return &opened{r, dirs, location, contents}, g.remember(dirs, location, r, known)
}

func padded(key []byte) (k [32]byte) {
	copy(k[:], key)
	return k
}

func (g *globals) remember(dirs machine.Dirs, location string, r *repo.Repo, known *machine.Record) error {
	k := r.Known()
	rec := machine.Record{Location: location, ID: k.ID}
	if r.Encrypted() {
		rec.Key = k.Key[:]
	}
	if known != nil && known.ID == rec.ID && bytes.Equal(known.Key, rec.Key) {
		return nil
	}
	return dirs.Remember(rec)
}

// sync brings the catalog in step with the repository.
func (g *globals) sync(ctx context.Context, o *opened) error {
	_, err := warm.Sync(ctx, o.Repo, o.contents, g.log)
	return err
}

// options are those of every repository that is opened or made.
func (g *globals) options(dirs machine.Dirs) repo.Options {
	g.keys = &keyring{g: g, dirs: dirs}
	opts := repo.Options{
		Identities: g.keys.load, Fingerprint: g.keys.fingerprint, Log: g.log, Now: g.now,
		UI: &repo.UI{Plugin: g.pluginUI()},
	}
	if g.password != nil {
		opts.UI.Passphrase = func() (string, error) {
			b, err := g.password("Passphrase of the repository: ")
			return string(b), err
		}
	} else if p := g.getenv("TARN_PASSPHRASE"); p != "" {
		opts.UI.Passphrase = func() (string, error) { return p, nil }
	} else {
		opts.UI.Passphrase = func() (string, error) {
			return "", errors.New("there is no terminal to ask for the passphrase: set TARN_PASSPHRASE")
		}
	}
	return opts
}

func (g *globals) pluginUI() *plugin.ClientUI {
	return plugin.NewTerminalUI(
		func(format string, v ...any) { g.log.Info(fmt.Sprintf(format, v...)) },
		func(format string, v ...any) { g.log.Warn(fmt.Sprintf(format, v...)) })
}
