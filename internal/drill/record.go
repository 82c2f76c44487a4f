package drill

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Record is what the drills of a repository have found so far. Proofs are of
// archives, which never change, so that later snapshots profit by them.
type Record struct {
	Repository string `json:"repository"`
	// Revision grows with each change, so that of two drills at once one notices.
	Revision int64                       `json:"revision"`
	Archives map[tarn.ArchiveID]*Archive `json:"archives,omitempty"`
	Round    *Round                      `json:"round,omitempty"`
	// Out are the bytes that drills have read in a month, which is written as
	// 2026-11: of the transfer that is free, these are used.
	Month string `json:"month,omitempty"`
	Out   int64  `json:"out,omitempty"`
}

// Archive is what was found in one archive.
type Archive struct {
	Sum     string  `json:"crc64nvme"` // of the object, as its index has it
	Proven  []Proof `json:"proven,omitempty"`
	Damaged []Proof `json:"damaged,omitempty"`
}

// Proof is what was read at a time.
type Proof struct {
	At    time.Time `json:"at"`
	Spans []Span    `json:"spans"`
}

// Round is what was drawn, was accepted, and is not read yet.
type Round struct {
	Snapshot tarn.SnapshotID `json:"snapshot"`
	Seed     uint64          `json:"seed"`
	Began    time.Time       `json:"began"` // before the first thaw was asked for
	Days     int             `json:"days"`
	Tier     storage.Tier    `json:"tier"`
	Budget   string          `json:"budget,omitempty"` // dollars
	// Ready is when what was asked for last can be read, as a rule; the zero time
	// if nobody says, or another command has asked for all of it.
	Ready time.Time `json:"ready,omitzero"`
	Parts []Part    `json:"parts"`
}

// Part is what is to be read of one archive.
type Part struct {
	Archive tarn.ArchiveID `json:"archive"`
	Spans   []Span         `json:"spans"`
	// Asked says that its thaw was asked for, if it needs one: one that is frozen
	// later on has been thawed, and was not read in time.
	Asked bool `json:"asked,omitempty"`
}

// NewRecord returns one without proofs.
func NewRecord(repository string) *Record {
	return &Record{Repository: repository, Archives: map[tarn.ArchiveID]*Archive{}}
}

// ParseRecord reads what Encode wrote for a repository.
func ParseRecord(data []byte, repository string) (*Record, error) {
	r := NewRecord(repository)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("reading the record of drills: %w", err)
	}
	if r.Repository != repository {
		return nil, fmt.Errorf("reading the record of drills: it is of the repository %.80q: %w", r.Repository, fs.ErrInvalid)
	}
	for id, a := range r.Archives {
		if a == nil {
			delete(r.Archives, id)
		}
	}
	return r, nil
}

// Encode returns the record for a file.
func (r *Record) Encode() ([]byte, error) { return json.Marshal(r) }

// of returns what is known of an archive with a sum. What was found in another
// one by that name is forgotten.
func (r *Record) of(id tarn.ArchiveID, sum string) *Archive {
	a := r.Archives[id]
	if a == nil || a.Sum != sum {
		a = &Archive{Sum: sum}
		r.Archives[id] = a
	}
	return a
}

// note adds what was found in an archive, and takes it off the round.
func (r *Record) note(id tarn.ArchiveID, sum string, at time.Time, good, bad []Span) {
	a := r.of(id, sum)
	all := append(merged(good), bad...)
	a.Proven = add(a.Proven, at, good, all)
	a.Damaged = add(a.Damaged, at, bad, all)
	if r.Round != nil {
		for i := range r.Round.Parts {
			if p := &r.Round.Parts[i]; p.Archive == id {
				p.Spans = without(p.Spans, all)
			}
		}
	}
	r.tidy()
}

// add adds a proof to older ones, of which what was read anew is no part any more.
func add(proofs []Proof, at time.Time, spans, anew []Span) (list []Proof) {
	for _, p := range proofs {
		if p.Spans = without(p.Spans, anew); len(p.Spans) > 0 {
			list = append(list, p)
		}
	}
	if n := len(list); n > 0 && list[n-1].At.Equal(at) {
		list[n-1].Spans = merged(append(list[n-1].Spans, spans...))
	} else if len(spans) > 0 {
		list = append(list, Proof{at, merged(spans)})
	}
	return list
}

// Drop takes archives off the round.
func (r *Record) Drop(ids ...tarn.ArchiveID) {
	for _, id := range ids {
		for i := range r.Round.Parts {
			if r.Round.Parts[i].Archive == id {
				r.Round.Parts[i].Spans = nil
			}
		}
	}
	r.tidy()
}

// tidy removes parts that are read, and a round that is over.
func (r *Record) tidy() {
	if r.Round == nil {
		return
	}
	var left []Part
	for _, p := range r.Round.Parts {
		if len(p.Spans) > 0 {
			left = append(left, p)
		}
	}
	if r.Round.Parts = left; len(left) == 0 {
		r.Round = nil
	}
}

// monthOf names the month of a time, as transfer is billed.
func monthOf(t time.Time) string { return t.UTC().Format("2006-01") }

// Sent adds to what has left the provider in the month of a time.
func (r *Record) Sent(at time.Time, bytes int64) {
	r.Out = r.AlreadyOut(at) + bytes
	r.Month = monthOf(at)
}

// AlreadyOut is what drills have read in the month of a time.
func (r *Record) AlreadyOut(at time.Time) int64 {
	if r.Month != monthOf(at) {
		return 0
	}
	return r.Out
}
