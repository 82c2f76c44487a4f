package storage

import (
	"context"
	"iter"
	"time"
)

// Upload is an upload in parts that was begun and has not ended: its parts are
// billed, and belong to no object that could be seen.
type Upload struct {
	Key   string
	ID    string
	Begun time.Time
}

// Unfinisher is a storage that can tell which uploads have not ended. A user who
// may store objects may not always do that, which is tarn.ErrDenied; a server
// that can't is errors.ErrUnsupported.
type Unfinisher interface {
	// Unfinished yields the uploads to keys that start with prefix.
	Unfinished(ctx context.Context, prefix string) iter.Seq2[Upload, error]
}
