package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
)

// keyring loads the identities that the flags name, or else those in the
// configuration folder, once.
type keyring struct {
	g      *globals
	dirs   machine.Dirs
	loaded bool
	files  []keyFile
	err    error
}

// keyFile is a file of identities.
type keyFile struct {
	path         string
	ids          []age.Identity
	fingerprints map[string]string // of the repositories that its comments name
}

// named are the files of identities that the user names.
func (g *globals) namedIdentities() []string {
	if p := g.getenv("TARN_IDENTITY"); len(g.identities) == 0 && p != "" {
		return []string{p}
	}
	return g.identities
}

// checkIdentities refuses named files that are not there: most commands need no
// identity, and whoever names one finds out now and not at the restore.
func (g *globals) checkIdentities() error {
	for _, path := range g.namedIdentities() {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return hinted{fmt.Errorf("identity file %s: %w", path, bare(err)), "Check the path in --identity or TARN_IDENTITY."}
		case info.IsDir():
			return hinted{fmt.Errorf("identity file %s: it is a folder", path), "Name the file with the identity: --identity FILE or TARN_IDENTITY."}
		}
	}
	return nil
}

func (k *keyring) load() ([]age.Identity, error) {
	if !k.loaded {
		k.loaded = true
		k.err = k.loadFiles()
	}
	if k.err != nil {
		return nil, k.err
	}
	var ids []age.Identity
	for _, f := range k.files {
		ids = append(ids, f.ids...)
	}
	return ids, nil
}

func (k *keyring) loadFiles() (err error) {
	paths := k.g.namedIdentities()
	if len(paths) == 0 {
		if paths, err = k.dirs.Identities(); err != nil {
			return err
		}
	}
	ask := machine.Ask{Plugin: k.g.pluginUI()}
	if k.g.password != nil {
		ask.Passphrase = func(what string) ([]byte, error) { return k.g.password("Passphrase of " + what + ": ") }
	}
	for _, p := range paths {
		f := keyFile{path: p}
		if f.ids, f.fingerprints, err = machine.LoadIdentities(p, ask); err != nil {
			return err
		}
		k.files = append(k.files, f)
	}
	return nil
}

// fingerprint is what the identities' files say of a repository's key. It does
// not load them: a machine that knows the key needs no identity.
func (k *keyring) fingerprint(repository string) (said string) {
	if len(k.g.namedIdentities()) == 0 {
		if data, err := os.ReadFile(k.dirs.Identity(repository)); err == nil {
			return machine.KeyComment(data, repository)
		}
	} else {
		k.load() // whose error suits finds
	}
	for _, f := range k.files {
		if f, ok := f.fingerprints[repository]; ok {
			said = f
		}
	}
	return said
}

// suits looks at the named identities before a command needs one: a file that
// is none is an error, and one that says to be of other repositories a warning. One
// with a passphrase that nobody is there to type does no harm until it is needed.
func (k *keyring) suits(r *repo.Repo) error {
	if len(k.g.namedIdentities()) == 0 {
		return nil
	}
	if _, err := k.load(); errors.Is(err, machine.ErrLocked) {
		return nil
	} else if err != nil {
		return err
	}
	for _, f := range k.files {
		if r.Encrypted() && f.ofOthers(r) {
			k.g.log.Warn("the identity file names other repositories only", "file", f.path, "names", f.repositories(), "repository", r.Config.ID)
		}
	}
	return nil
}

// ofOthers reports whether a file names repositories and this is not one, nor
// is an identity in it one of the repository's recipients.
func (f keyFile) ofOthers(r *repo.Repo) bool {
	if _, ok := f.fingerprints[r.Config.ID]; ok || len(f.fingerprints) == 0 {
		return false
	}
	for _, id := range f.ids {
		x, ok := id.(*age.X25519Identity)
		if !ok || slices.ContainsFunc(r.Recipients(), func(l repo.Recipient) bool { return l.Recipient == x.Recipient().String() }) {
			return false
		}
	}
	return true
}

func (f keyFile) repositories() string {
	return strings.Join(slices.Sorted(maps.Keys(f.fingerprints)), " ")
}

// hintIdentity says of an error that wants an identity which ones were tried.
func (g *globals) hintIdentity(err error) error {
	if !errors.Is(err, tarn.ErrNoIdentity) || errors.As(err, new(hinted)) {
		return err
	}
	const name = "--identity FILE or TARN_IDENTITY"
	named := g.namedIdentities()
	if strings.Contains(err.Error(), "passphrase") { // which the repository opens by, too
		return hinted{err, "Type its passphrase, set TARN_PASSPHRASE, or name the file with an identity: " + name + "."}
	}
	switch k := g.keys; {
	case k == nil || len(k.files) == 0:
		return hinted{err, "Name the file with your identity: " + name + "."}
	case len(named) == 0:
		return hinted{err, fmt.Sprintf("What is in %s is of other repositories. Name the file with the identity of this one: %s.", filepath.Dir(k.files[0].path), name)}
	case len(named) == 1 && k.files[0].repositories() != "":
		return hinted{err, fmt.Sprintf("%s says that it is of the repository %s. Name the file with the identity of this one: %s.", named[0], k.files[0].repositories(), name)}
	}
	return hinted{err, fmt.Sprintf("%s does not open this repository. Name the file with its identity: %s.", strings.Join(named, " and "), name)}
}
