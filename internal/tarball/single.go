package tarball

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
)

// What rclone keeps with an object: the time of the file, and its MD5 where the
// entity tag is none.
const (
	mtimeName = "mtime"
	md5Name   = "md5chksum"
)

// mtimeText is a time as rclone writes it.
func mtimeText(t tarn.Timespec) string {
	text := t.String()
	if strings.Contains(text, ".") {
		text = strings.TrimRight(text, "0")
	}
	return text
}

// single backs one file up, as it is.
func (r *run) single(ctx context.Context) (err error) {
	path, err := filepath.EvalSymlinks(r.path)
	if err != nil {
		return &scan.OpenError{Path: r.Path, Err: bare(err)}
	}
	key := Key{Kind: File, Name: r.Name, Dir: r.base}
	if err := key.check(); err != nil {
		return err
	}
	if r.source, err = scan.Open(scan.Config{Path: path, Name: sourceName}); err != nil {
		return err
	}
	defer r.source.Close()
	defer r.startReaders()()
	j := &job{run: r, split: scan.Split{Path: sourceName, Recursive: true}, key: key}
	r.path = path
	for range readTries {
		if err = j.file(ctx); !errors.Is(err, errChanged) {
			return err
		}
	}
	return fmt.Errorf("backing up %s: %w, each time that it was tried: nothing was stored", path, err)
}

// file brings the one object of a file up to date.
func (j *job) file(ctx context.Context) error {
	it, err := j.readFile(ctx)
	if err != nil {
		return err
	}
	j.event(Event{Kind: Hashed, Hash: it.sum})
	there, err := j.over.Inspect(ctx, j.key.String())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && there.Size == it.entry.Size && knownSum(there) == it.sum.String() {
		j.res.Unchanged++
		j.total()
		j.event(Event{Kind: Unchanged})
		return nil
	}
	made := Made{Key: j.key.String(), Class: j.Class, Size: it.entry.Size}
	if !j.DryRun {
		j.event(Event{Kind: Uploading, Bytes: it.entry.Size})
		if err := j.putFile(ctx, it); err != nil {
			return err
		}
		j.done(made, Uploaded)
		return nil
	}
	j.done(made, Uploading)
	return nil
}

// readFile makes the hash of the file, or remembers it.
func (j *job) readFile(ctx context.Context) (*item, error) {
	p := j.newPass(false)
	p.reset()
	memory := j.memory()
	defer memory.close()
	p.old = memory.old
	var found item
	for it, err := range p.each(ctx) {
		if err == nil {
			err = errors.Join(it.walk, it.err)
		}
		if err != nil {
			return nil, err
		}
		p.take(it)
		memory.keep(it)
		found = item{entry: it.entry, sum: it.sum, pass: p}
	}
	j.Progress.totalBytes.Store(found.entry.Size)
	j.Progress.totalFiles.Store(1)
	j.Progress.counted.Store(true)
	j.Progress.files.Add(1)
	j.forgets(memory.save())
	return &found, nil
}

// knownSum is the MD5 that the storage, or else the object's writer, says that
// the content has; "" if neither does.
func knownSum(in storage.Inspected) string {
	b, err := base64.StdEncoding.DecodeString(in.Metadata[md5Name])
	if in.MD5 == "" && err == nil && len(b) == md5.Size {
		return hex.EncodeToString(b)
	}
	return in.MD5
}

// putFile stores the file, if it still has what was hashed.
func (j *job) putFile(ctx context.Context, it *item) error {
	now := it.entry
	f, err := j.open(&now)
	if err != nil {
		return err
	}
	defer f.Close()
	j.Progress.again(it.entry.Size)
	body := &hashed{r: f, sum: md5.New(), want: it.sum, progress: j.Progress}
	opts := storage.PutOptions{Class: j.Class, MaxSize: max(it.entry.Size, 1), Acknowledged: j.acknowledged, Metadata: map[string]string{
		mtimeName: mtimeText(it.entry.MTime), md5Name: base64.StdEncoding.EncodeToString(it.sum[:]),
	}}
	_, err = j.over.Overwrite(ctx, j.key.String(), body, opts)
	return err
}

// hashed reads a file, and fails in place of its end if it is not what it was.
type hashed struct {
	r        io.Reader
	sum      hash.Hash
	want     MD5
	progress *Progress
}

// Read implements io.Reader.
func (h *hashed) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	h.sum.Write(b[:n])
	h.progress.bytes.Add(int64(n))
	if err == io.EOF && MD5(h.sum.Sum(nil)) != h.want {
		err = errChanged
	}
	return n, err
}
