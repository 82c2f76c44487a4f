package repo

import (
	"io/fs"
	"slices"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

var errExist = fs.ErrExist

func sortEntries(list []tarn.Entry) {
	slices.SortFunc(list, func(a, b tarn.Entry) int { return tarn.ComparePaths(a.Path, b.Path) })
}

// keyring is a user's identity file: the identities that were saved, and what
// they say of the key.
type keyring struct {
	ids         []*age.X25519Identity
	repository  string
	fingerprint string
}

func (k *keyring) save(id *age.X25519Identity, repository, fingerprint string) error {
	k.ids = append([]*age.X25519Identity{id}, k.ids...)
	k.repository, k.fingerprint = repository, fingerprint
	return nil
}

func (k *keyring) load() ([]age.Identity, error) {
	var list []age.Identity
	for _, id := range k.ids {
		list = append(list, id)
	}
	return list, nil
}

// of is Options.Fingerprint.
func (k *keyring) of(repository string) string {
	if repository == k.repository {
		return k.fingerprint
	}
	return ""
}
