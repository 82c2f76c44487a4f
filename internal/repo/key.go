package repo

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/tarn-backup/tarn"
)

// Key is a repository's key. It authenticates and encrypts nothing; the zero
// Key is that of an unencrypted repository, whose MACs are plain hashes.
type Key [32]byte

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:]) // never fails: crypto/rand crashes the program instead
	return k
}

// The labels that keep the uses of a key apart (docs/format.md, "The
// repository's key").
const (
	labelKey      = "tarn 1 key\n"
	labelKeys     = "tarn 1 keys\n"
	labelSnapshot = "tarn 1 snapshot\n"
	labelIndex    = "tarn 1 index\n"
	labelTree     = "tarn 1 tree\n"
)

// IsZero reports whether k is the key of an unencrypted repository.
func (k Key) IsZero() bool { return k == Key{} }

// Fingerprint names the key without giving it away.
func (k Key) Fingerprint() string {
	h := sha256.Sum256(append([]byte(labelKey), k[:]...))
	return hex.EncodeToString(h[:])
}

// String names the key by its fingerprint, so that no log holds it.
func (k Key) String() string { return "repository key " + k.Fingerprint()[:16] }

// newMAC returns the hash that authenticates what the label names.
func (k Key) newMAC(label string) hash.Hash {
	var h hash.Hash
	if k.IsZero() {
		h = sha256.New()
	} else {
		h = hmac.New(sha256.New, k[:])
	}
	h.Write([]byte(label))
	return h
}

// newTreeHash returns the hash whose sum over a tree's lines is its id: plain
// SHA-256 without a key, so that sha256sum checks it.
func (k Key) newTreeHash() hash.Hash {
	if k.IsZero() {
		return sha256.New()
	}
	return k.newMAC(labelTree)
}

func treeSum(h hash.Hash) (id tarn.TreeID) {
	h.Sum(id[:0])
	return id
}
