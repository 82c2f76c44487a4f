package tarball

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// RestorePlain restores an object that is a single file, and reports whether it
// was compared with its MD5, which S3 has of what was put in one piece. The time of
// the file is that of the object.
func RestorePlain(ctx context.Context, s storage.Storage, o *Object, target Target, progress func(n int64)) (proved bool, err error) {
	body, err := openObject(ctx, s, o)
	if err != nil {
		return false, err
	}
	defer body.Close()
	e := &tarn.Entry{Path: path.Base(o.Key), Type: tarn.TypeFile, Mode: 0o644, Size: o.Size, MTime: tarn.TimespecOf(o.Modified)}
	f, err := target.Create(e)
	if err != nil {
		return false, err
	}
	var n int64
	sum := md5.New()
	if _, err := io.Copy(f, &countingReader{ctx: ctx, r: body, n: &n, sum: sum, progress: progress}); err != nil {
		f.Abort()
		return false, fmt.Errorf("reading %s: %w", o.Key, err)
	}
	if raw, err := hex.DecodeString(o.ETag); err == nil && len(raw) == md5.Size {
		if proved = hex.EncodeToString(sum.Sum(nil)) == strings.ToLower(o.ETag); !proved {
			f.Abort()
			return false, fmt.Errorf("reading %s: %w", o.Key, ErrETag)
		}
	}
	return proved, f.Commit()
}
