package restore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// Cat writes the content of a regular file to w, and checks its hash: an error
// that wraps tarn.ErrDamaged comes after bytes that are not right. Of the
// configuration it takes the repository, the contents and the access.
func Cat(ctx context.Context, cfg Config, e *tarn.Entry, w io.Writer) error {
	if e.Type != tarn.TypeFile {
		return fmt.Errorf("%q is a %s, not a file", e.Path, e.Type)
	}
	if err := catTo(ctx, archivesOf(cfg), cfg.Contents, e, w); err != nil {
		return fmt.Errorf("reading %q: %w", e.Path, err)
	}
	return nil
}

// archivesOf are the archives of a configuration, for reading as its access says.
func archivesOf(cfg Config) *archives {
	a := newArchives(cfg.Repo)
	a.access = cfg.Access
	return a
}

func catTo(ctx context.Context, a *archives, c *catalog.Contents, e *tarn.Entry, w io.Writer) error {
	h := sha256.New()
	if err := a.content(ctx, c, e, io.MultiWriter(w, h)); err != nil {
		return err
	}
	if e.Size > 0 && tarn.ContentHash(h.Sum(nil)) != e.Content {
		return fmt.Errorf("its content does not have its hash: %w", tarn.ErrDamaged)
	}
	return nil
}
