package storagetest

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"testing"
	"testing/iotest"

	"github.com/tarn-backup/tarn/internal/storage"
)

// RunOverwrite holds a storage that is an Overwriter, too, to that contract.
// open returns an empty one.
func RunOverwrite(t *testing.T, open func(t *testing.T) storage.Storage) {
	s := open(t)
	over, ok := s.(storage.Overwriter)
	if !ok {
		t.Fatal("it is no Overwriter")
	}
	ctx := t.Context()
	if _, err := over.Inspect(ctx, "d/key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inspecting what is not there: %v", err)
	}
	meta := map[string]string{"mtime": "1700000000.5", "tarn-unlisted": "1 x"}
	for i, size := range []int{10, 300_000, 40 << 20, 0, 20} {
		data := Content(uint64(i), size)
		if _, err := over.Overwrite(ctx, "d/key", bytes.NewReader(data), storage.PutOptions{MaxSize: int64(size), Metadata: meta, ContentType: "application/gzip"}); err != nil {
			t.Fatalf("%d bytes over what was there: %v", size, err)
		}
		wantContent(t, s, "d/key", data)
		in, err := over.Inspect(ctx, "d/key")
		if err != nil {
			t.Fatal(err)
		}
		if in.Size != int64(size) || in.Key != "d/key" || !maps.Equal(in.Metadata, meta) {
			t.Errorf("%d bytes: %+v", size, in)
		}
		if sum := fmt.Sprintf("%x", md5.Sum(data)); in.MD5 != sum && (size < 32<<20 || in.MD5 != "") {
			t.Errorf("%d bytes: MD5 %q, want %s", size, in.MD5, sum)
		}
	}
	before := Content(9, 40<<20)
	broken := errors.New("the disk is gone")
	for _, size := range []int{1000, 40 << 20} {
		r := io.MultiReader(bytes.NewReader(before[:size]), iotest.ErrReader(broken))
		if _, err := over.Overwrite(ctx, "d/key", r, storage.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("a reader that fails: %v", err)
		}
		wantContent(t, s, "d/key", Content(4, 20))
	}
	if _, err := s.Put(ctx, "d/key", bytes.NewReader(nil), storage.PutOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("put over it: %v", err)
	}
}
