package tarball

import (
	"path/filepath"
	"strings"
	"testing"
)

// A list that finds no room says where it was looked for.
func TestSpoolWithoutRoom(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	s := new(spool)
	defer s.close()
	if err := s.add(strings.Repeat("n", spoolSize)); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("%v", err)
	}
}
