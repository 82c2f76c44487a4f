package tarball

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// RestorePlain restores an object that is a single file, and reports whether it
// was compared with the MD5 that S3 or rclone keeps of it. The time of the file is the one
// that rclone keeps, or else that of the object.
func RestorePlain(ctx context.Context, s storage.Storage, o *Object, target Target, progress func(n int64)) (proved bool, err error) {
	e := &tarn.Entry{Path: path.Base(o.Key), Type: tarn.TypeFile, Mode: 0o644, Size: o.Size, MTime: tarn.TimespecOf(o.Modified), UID: id(os.Getuid()), GID: id(os.Getgid())}
	in, err := inspectPlain(ctx, s, o)
	if err != nil {
		return false, err
	}
	if seconds, err := time.ParseDuration(in.Metadata[mtimeName] + "s"); err == nil {
		e.MTime = tarn.TimespecOf(time.Unix(0, 0).Add(seconds))
	}
	f, err := target.Create(e)
	if err != nil {
		return false, err
	}
	if proved, err = readPlain(ctx, s, o, knownSum(in), f, progress); err != nil {
		f.Abort()
		return false, err
	}
	return proved, f.Commit()
}

// inspectPlain is what the storage keeps with a single file; nothing of an older
// version.
func inspectPlain(ctx context.Context, s storage.Storage, o *Object) (storage.Inspected, error) {
	look, ok := s.(storage.Overwriter)
	if !ok || !o.Latest {
		return storage.Inspected{}, nil
	}
	return look.Inspect(ctx, o.Key)
}

// readPlain copies a single file, and compares it with its MD5 if that is known.
func readPlain(ctx context.Context, s storage.Storage, o *Object, want string, to io.Writer, progress func(n int64)) (proved bool, err error) {
	body, err := openObject(ctx, s, o)
	if err != nil {
		return false, err
	}
	defer body.Close()
	var n int64
	sum := md5.New()
	if _, err := io.Copy(to, &countingReader{ctx: ctx, r: body, n: &n, sum: sum, progress: progress}); err != nil {
		return false, fmt.Errorf("reading %s: %w", o.Key, err)
	}
	if want != "" && want != hex.EncodeToString(sum.Sum(nil)) {
		return false, fmt.Errorf("reading %s: %w", o.Key, ErrETag)
	}
	return want != "", nil
}
