package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

// The names of a repository's objects.
const (
	configName     = "tarn.json"
	recoveryName   = "RECOVERY.txt"
	keysPrefix     = "keys/"
	archivesPrefix = "archives/"
	indexesPrefix  = "indexes/"
	treesPrefix    = "trees/"
	snapshotPrefix = "snapshots/"
	ageSuffix      = ".age"
)

// suffix is what encryption adds to the names of archives, indexes, trees and
// snapshots.
func (r *Repo) suffix() string {
	if r.Encrypted() {
		return ageSuffix
	}
	return ""
}

func (r *Repo) indexKey(id tarn.ArchiveID) string {
	return indexesPrefix + string(id) + ".jsonl.zst" + r.suffix()
}

func (r *Repo) treeKey(id tarn.TreeID) string {
	return treesPrefix + id.String() + ".jsonl.zst" + r.suffix()
}

func (r *Repo) snapshotKey(id tarn.SnapshotID) string {
	return snapshotPrefix + string(id) + ".json" + r.suffix()
}

func keysKey(id tarn.KeysID) string { return keysPrefix + string(id) + ".json" }

// ArchiveKey returns the key of an archive of the split. In an encrypted
// repository it tells nothing about the split.
func (r *Repo) ArchiveKey(split string, id tarn.ArchiveID) string {
	if r.Encrypted() {
		return archivesPrefix + string(id) + ".tar.zst" + ageSuffix
	}
	return archivesPrefix + escapeSplit(split) + "/" + string(id) + ".tar.zst"
}

// archiveOf returns the id in an archive's key.
func (r *Repo) archiveOf(key string) (tarn.ArchiveID, error) {
	base, ok := strings.CutSuffix(key[strings.LastIndexByte(key, '/')+1:], ".tar.zst"+r.suffix())
	if !ok {
		return "", fmt.Errorf("%s: not the name of an archive", key)
	}
	return tarn.ParseArchiveID(base)
}

// Limits of an escaped split, in bytes: file systems hold names of 255, S3
// keys of 1,024.
const (
	maxComponent = 200
	cutComponent = 183
	maxSplitKey  = 700
)

// escapeSplit writes a split's path for a key (docs/format.md, "Escaped split").
func escapeSplit(split string) string {
	var parts []string
	for c := range strings.SplitSeq(split, "/") {
		parts = append(parts, escapeComponent(c))
	}
	key := strings.Join(parts, "/")
	if len(key) > maxSplitKey {
		sum := sha256.Sum256([]byte(split))
		return "~" + hex.EncodeToString(sum[:])
	}
	return key
}

func escapeComponent(c string) string {
	var b []byte
	cut := 0 // the longest prefix of b that may stand before a hash
	for i := 0; i < len(c); {
		if len(b) <= cutComponent {
			cut = len(b)
		}
		r, n := utf8.DecodeRuneInString(c[i:])
		last := i+n == len(c)
		switch {
		case last && (c[i] == '.' || c[i] == ' '), !plainInKey(r, n):
			for _, x := range []byte(c[i : i+n]) {
				b = fmt.Appendf(b, "%%%02X", x)
			}
		default:
			b = append(b, c[i:i+n]...)
		}
		i += n
	}
	if len(b) <= maxComponent {
		return string(b)
	}
	sum := sha256.Sum256([]byte(c))
	return string(b[:cut]) + "~" + hex.EncodeToString(sum[:8])
}

func plainInKey(r rune, n int) bool {
	switch {
	case r == utf8.RuneError && n == 1:
		return false
	case r >= 0xA0:
		return true
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	}
	return r < 0x80 && strings.ContainsRune(" !#$&'()+,-.;=@[]^_`{}~", r)
}
