package storage

import (
	"context"
	"io"
)

// Overwriter is a storage that can put an object in the place of another, as
// backups need it that have one key for each thing. Only tarball receives it.
type Overwriter interface {
	// Overwrite is Put for a key that may be taken: until all of the new object is
	// there, the old one is.
	Overwrite(ctx context.Context, key string, r io.Reader, opts PutOptions) (Object, error)

	// Inspect is Stat, and tells what else the storage keeps.
	Inspect(ctx context.Context, key string) (Inspected, error)
}

// Inspected is an object with what its writer and others said about it.
type Inspected struct {
	Object
	MD5      string            // in hexadecimal digits, of the content; "" if the storage does not know it
	Metadata map[string]string // as in PutOptions, with names in lower case
}
