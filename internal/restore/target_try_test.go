package restore

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A try leaves nothing behind, whatever comes out of it.
func TestTryTarget(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(top, "kept")
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir    string
		bytes  int64
		ok     bool
		noRoom bool
	}{
		{top, 1, true, false},
		{kept, 1, true, false},
		{filepath.Join(top, "a", "b", "c"), 1, true, false},
		{filepath.Join(kept, "a"), 1, true, false},
		{file, 1, false, false},
		{filepath.Join(file, "below"), 1, false, false},
		{filepath.Join(top, "a", "b"), math.MaxInt64, runtime.GOOS != "linux" && runtime.GOOS != "darwin", true},
	} {
		err := TryTarget(test.dir, test.bytes)
		if (err == nil) != test.ok || !test.ok && errors.Is(err, ErrNoRoom) != test.noRoom {
			t.Errorf("%+v: %v", test, err)
		}
	}
	for dir, want := range map[string]int{top: 2, kept: 0} {
		if list, err := os.ReadDir(dir); err != nil || len(list) != want {
			t.Errorf("left in %s: %v, %v", dir, list, err)
		}
	}
}
