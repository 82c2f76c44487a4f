package tarn

import (
	"fmt"
	"strings"
	"time"
)

// timeForm is the <time> of a name: UTC, to the second, sorting as text.
const timeForm = "20060102T150405Z"

// ArchiveID names an archive: <time>-<16 hexadecimal digits>, such as
// 20261123T024639Z-00f1a2b3c4d5e6f7. Archives of one run share the time.
type ArchiveID string

// SnapshotID names a snapshot in the form of an ArchiveID.
type SnapshotID string

// KeysID names a keys object in the form of an ArchiveID.
type KeysID string

// FormatID makes the text of an id from a time (cut to the second, in UTC)
// and eight random bytes.
func FormatID(t time.Time, random [8]byte) string {
	return fmt.Sprintf("%s-%x", t.UTC().Format(timeForm), random)
}

// ParseArchiveID checks the form of s.
func ParseArchiveID(s string) (ArchiveID, error) {
	return ArchiveID(s), checkID("archive id", s)
}

// ParseSnapshotID checks the form of s.
func ParseSnapshotID(s string) (SnapshotID, error) {
	return SnapshotID(s), checkID("snapshot id", s)
}

// ParseKeysID checks the form of s.
func ParseKeysID(s string) (KeysID, error) { return KeysID(s), checkID("keys id", s) }

// Time returns the time in the id, or the zero time if it has none.
func (id ArchiveID) Time() time.Time { return idTime(string(id)) }

// Time returns the time in the id, or the zero time if it has none.
func (id SnapshotID) Time() time.Time { return idTime(string(id)) }

// Time returns the time in the id, or the zero time if it has none.
func (id KeysID) Time() time.Time { return idTime(string(id)) }

// Short returns the first eight of the random digits, which is how a person
// names a snapshot.
func (id SnapshotID) Short() string {
	_, random, _ := strings.Cut(string(id), "-")
	return random[:min(8, len(random))]
}

func checkID(what, s string) error {
	stamp, random, _ := strings.Cut(s, "-")
	if _, err := time.Parse(timeForm, stamp); err != nil || len(stamp) != len(timeForm) {
		return fmt.Errorf("%s %.80q: want a time like 20261123T024639Z, a dash and 16 hexadecimal digits", what, s)
	}
	var b [8]byte
	return parseHex(b[:], random, what)
}

func idTime(s string) time.Time {
	stamp, _, _ := strings.Cut(s, "-")
	t, err := time.Parse(timeForm, stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}
