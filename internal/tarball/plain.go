package tarball

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
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
	if at, ok := mtimeIn(in); ok {
		e.MTime = tarn.TimespecOf(at)
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

// tellFiles tells single files whose names end as those of archives from archives:
// nothing lies beside them, and they have what only uploads of files have.
func (b *Bucket) tellFiles(ctx context.Context, s storage.Storage) error {
	look, ok := s.(storage.Overwriter)
	if !ok {
		return nil
	}
	files := map[string]bool{}
	for _, a := range b.Archives {
		if a.Sum != nil || a.List != nil || a.OldSum || a.OldList || len(a.Cooled) > 0 {
			continue
		}
		in, err := look.Inspect(ctx, a.Body.Key)
		b.Requests++
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, tarn.ErrDenied):
		case err != nil:
			return fmt.Errorf("looking at %s: %w", a.Body.Key, err)
		case ofFile(in, a.Body.Modified):
			files[a.Body.Key] = true
			b.Files = append(b.Files, a.Body)
		}
	}
	if len(files) == 0 {
		return nil
	}
	for _, a := range b.Older {
		if files[a.Body.Key] {
			b.OlderFiles = append(b.OlderFiles, a.Body)
		}
	}
	is := func(a *Tarball) bool { return files[a.Body.Key] }
	b.Archives, b.Older = slices.DeleteFunc(b.Archives, is), slices.DeleteFunc(b.Older, is)
	for _, list := range [][]Object{b.Files, b.OlderFiles} {
		slices.SortStableFunc(list, func(x, y Object) int { return strings.Compare(x.Key, y.Key) })
	}
	return nil
}

// ofFile reports whether an object was put from a file. Of that, tarn keeps the MD5,
// as rclone does where it comes in parts; an archive is made while it is put, and so has
// none. In one part, rclone keeps the time of the file, which is then that of the upload only
// if the file has just been written.
func ofFile(in storage.Inspected, put time.Time) bool {
	if in.Metadata[md5Name] != "" {
		return true
	}
	at, ok := mtimeIn(in)
	return ok && in.MD5 != "" && at.Before(put.Add(-time.Hour))
}

// mtimeIn is the time of the file that the storage keeps with an object.
func mtimeIn(in storage.Inspected) (time.Time, bool) {
	seconds, err := time.ParseDuration(in.Metadata[mtimeName] + "s")
	return time.Unix(0, 0).Add(seconds), err == nil
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
