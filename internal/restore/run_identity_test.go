package restore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// Without an identity, nothing is made.
func TestNoIdentityMakesNothing(t *testing.T) {
	m := storagetest.NewMemory()
	b := prepared(t, m, true, source(t))
	target := filepath.Join(e2e.Scratch(t), "target")
	b.Adopt(nil)
	_, err := b.Restore(t.Context(), m, "", target, nil)
	if !errors.Is(err, tarn.ErrNoIdentity) {
		t.Errorf("%v, want ErrNoIdentity", err)
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the target was made")
	}
}
