package storage

import (
	"maps"

	"github.com/tarn-backup/tarn"
)

// Meter is a storage whose provider bills requests, and which counts them. A
// local folder is none.
type Meter interface {
	// Metered returns what was counted since the storage was opened.
	Metered() Metered
}

// Request is what requests have in common that cost the same.
type Request struct {
	Operation string     // by S3's name
	Class     tarn.Class // of the object: the one that the request bills at
	Tier      Tier       // of a RestoreObject
}

// Metered is a count of requests and bytes.
type Metered struct {
	// Requests are those that the server answered and that it bills: also
	// those that it refused, and each attempt of one that was repeated. Of thaws,
	// which cost most, those are among them that were sent and never answered.
	Requests map[Request]int64
	// Free are the attempts that nobody bills: answered with 5xx, refused to a
	// stranger, or, but for those thaws, never answered as far as we know.
	Free int64
	// Retrieved are the bytes that GETs have read of objects, by class.
	Retrieved map[tarn.Class]int64
	// Down are the bytes of all answers, and Stored those of objects that were put, by class.
	Down   int64
	Stored map[tarn.Class]int64
}

// Clone returns a copy.
func (m Metered) Clone() Metered {
	m.Requests, m.Retrieved, m.Stored = maps.Clone(m.Requests), maps.Clone(m.Retrieved), maps.Clone(m.Stored)
	return m
}

// Since returns what came after an earlier reading.
func (m Metered) Since(before Metered) Metered {
	return Metered{
		Requests: since(m.Requests, before.Requests), Free: m.Free - before.Free,
		Retrieved: since(m.Retrieved, before.Retrieved), Down: m.Down - before.Down, Stored: since(m.Stored, before.Stored),
	}
}

// Count is the number of requests that are billed.
func (m Metered) Count() (n int64) {
	for _, each := range m.Requests {
		n += each
	}
	return n
}

func since[K comparable](now, before map[K]int64) map[K]int64 {
	rest := map[K]int64{}
	for k, n := range now {
		if n > before[k] {
			rest[k] = n - before[k]
		}
	}
	return rest
}
