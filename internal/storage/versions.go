package storage

import (
	"context"
	"io"
	"iter"
)

// Version is one of the objects that a key has had in a bucket with versions.
// In one without, each key has one, whose ID is "null".
type Version struct {
	Object
	ID      string
	Latest  bool
	Deleted bool // it marks that the key was deleted, and is no object
	// ETag is the server's, without quotes: the MD5 of an object that was put in
	// one piece, of others something with a hyphen.
	ETag string
}

// Versioner is a storage that can tell the versions of its objects. A user who
// may list and read objects may not always do that with their versions, which
// is tarn.ErrDenied; a server that can't is errors.ErrUnsupported.
type Versioner interface {
	// Versions yields the versions of the keys that start with prefix, sorted
	// by key and the newest first.
	Versions(ctx context.Context, prefix string) iter.Seq2[Version, error]
	// GetVersion is Get of a version.
	GetVersion(ctx context.Context, key, id string, offset, length int64) (io.ReadCloser, error)
	// ThawVersion is Thaw of a version.
	ThawVersion(ctx context.Context, key, id string, opts ThawOptions) error
}
