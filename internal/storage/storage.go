// Package storage says what a repository needs of the place it lives in: to
// put an object once, to read a range of it, to look at it and to list.
// Removing is an interface apart that backup never receives. The homes are
// storage/local and storage/s3; storage/storagetest holds the contract.
package storage

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/tarn-backup/tarn"
)

// Storage is the place of one repository. Keys are slash-separated and
// relative to the repository's prefix. All methods may be called at the same
// time, return when ctx ends, and retry what may be retried by themselves.
//
// Errors wrap fs.ErrNotExist (no such object), fs.ErrExist (the key is
// taken), tarn.ErrCold, tarn.ErrThawing, tarn.ErrBusy, tarn.ErrKey or
// tarn.ErrDenied where one is meant.
type Storage interface {
	// Put stores what r holds under key, which must not exist: one of two
	// things is true afterwards, the whole object is there and durable or
	// none of it is visible. A key that is taken gives fs.ErrExist. r is read
	// once, to its end; an error of r fails the Put and is returned wrapped.
	Put(ctx context.Context, key string, r io.Reader, opts PutOptions) (Object, error)

	// Get returns a reader of length bytes from offset; length < 0 reads to
	// the end. Reading less than was asked for ends in io.ErrUnexpectedEOF,
	// never in a silent io.EOF. The caller closes the reader.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)

	// Stat returns what the storage knows of the object without reading it.
	Stat(ctx context.Context, key string) (Object, error)

	// List yields the objects whose key starts with prefix, sorted by key.
	// Size, Modified and Class are set, and of cold objects Thawed and Thawing
	// where the storage says it in listings; Checksum need not be.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// Thaw asks for a temporary readable copy of a cold object. It returns
	// nil if the object can be read already or a thaw was accepted,
	// tarn.ErrThawing if one was under way that is no slower, and
	// tarn.ErrTierRefused if there is none in that tier. Of an object whose copy
	// can be read, it moves the time until which it can.
	//
	// An error that wraps tarn.ErrUnanswered, too, says that an attempt got no
	// answer that could be understood: it may have been accepted, and with
	// tarn.ErrThawing it was, unless another run has asked at the same time.
	// When ctx ends, what was sent has a second left to be answered.
	Thaw(ctx context.Context, key string, opts ThawOptions) error

	// Location returns the URL or folder for messages, without secrets.
	Location() string
}

// Remover deletes objects. Only prune receives it.
type Remover interface {
	// Remove deletes an object; one that is not there is fs.ErrNotExist.
	Remove(ctx context.Context, key string) error
}

// PutOptions say how an object is stored.
type PutOptions struct {
	// Class is the storage class; empty means STANDARD. A local folder ignores it.
	Class tarn.Class
	// MaxSize is an upper bound of the object's size in bytes, from which the
	// size of the parts of an upload follows; 0 means unknown.
	MaxSize int64
	// Acknowledged, if set, is called with the number of further bytes each
	// time that the storage has acknowledged some. It must be safe to call
	// from several goroutines.
	Acknowledged func(n int64)
	// Metadata is kept with the object, where the storage has room for that, and
	// ContentType is what browsers are told.
	Metadata    map[string]string
	ContentType string
}

// Object is what a storage knows about an object.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time
	Class    tarn.Class // STANDARD where the storage has no classes
	// Checksum is the CRC64NVME of the whole object if the storage keeps it,
	// which Put always sets and Stat where it costs no read.
	Checksum Checksum
	// Thawed is the time until which the temporary copy of a cold object can
	// be read, and Thawing says that one is being made.
	Thawed  time.Time
	Thawing bool
}

// Checksum is a CRC64NVME (the polynomial of NVMe and of S3's x-amz-checksum-crc64nvme).
type Checksum struct {
	Sum   uint64
	Known bool
}

// Tier is the speed of a thaw.
type Tier string

// The tiers of S3's RestoreObject.
const (
	Bulk      Tier = "Bulk"
	Normal    Tier = "Standard"
	Expedited Tier = "Expedited"
)

// ThawOptions say how a cold object is thawed.
type ThawOptions struct {
	Days int // how long the copy stays readable
	Tier Tier
	// Class is the object's, as a listing tells it: the one that a Meter counts
	// the request at.
	Class tarn.Class
}
