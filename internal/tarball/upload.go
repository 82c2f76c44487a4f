package tarball

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// maxObject is what S3 takes in one object.
const maxObject = 5 << 40

// archiveType is what rclone says of such a file, too.
const archiveType = "application/gzip"

// ErrTooLarge says that an archive has become larger than it may.
var ErrTooLarge = errors.New("the archive is too large")

// upload makes the archive and puts it, its hash and its list in the place of
// what is there, in this order: an archive that is not all there is never visible, and a
// hash never names an archive that is not there yet.
func (j *job) upload(ctx context.Context) (local, err error) {
	if j.upper > maxObject {
		return fmt.Errorf("%w: it can have %d bytes, and S3 takes %d in an object: use a larger split depth", ErrTooLarge, j.upper, int64(maxObject)), nil
	}
	made := Made{Key: j.key.Of(Archive).String(), Class: j.Class, Size: j.upper}
	if j.DryRun {
		j.done(made, Uploading)
		return nil, nil
	}
	j.event(Event{Kind: Uploading, Bytes: j.listed.bytes + j.unlisted.bytes})
	names := new(spool)
	defer names.close()
	before := j.unlistedText()
	o, local, err := j.putArchive(ctx, names)
	if local != nil || err != nil {
		return local, err
	}
	if before != j.unlistedText() {
		j.problems = append(j.problems, problem{path: j.onDisk(j.dir), err: fmt.Errorf("files whose names have a newline: %w; the next run looks again", errChanged)})
	}
	hash := FormatSum(j.listed.hash.Sum())
	if err := j.put(ctx, Sum, bytes.NewReader(hash), int64(len(hash))); err != nil {
		return nil, err
	}
	if err := j.putList(ctx, names); err != nil {
		return nil, err
	}
	made.Size = o.Size
	j.done(made, Uploaded)
	return nil, nil
}

func (j *job) done(m Made, kind EventKind) {
	j.total()
	j.mu.Lock()
	j.res.Made = append(j.res.Made, m)
	j.mu.Unlock()
	j.event(Event{Kind: kind, Bytes: m.Size})
}

func (j *job) putList(ctx context.Context, names *spool) error {
	body, size, err := names.reader()
	if err != nil {
		return err
	}
	return j.put(ctx, List, body, size)
}

// putArchive streams the archive to the storage: what is packed at one end of a
// pipe is uploaded at the other. An error of packing is local: it ends the upload,
// of which nothing stays.
func (j *job) putArchive(ctx context.Context, names *spool) (o storage.Object, local, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if j.hashed {
		j.Progress.again(j.listed.bytes + j.unlisted.bytes)
	}
	opts := storage.PutOptions{Class: j.Class, MaxSize: j.upper, Acknowledged: j.acknowledged, ContentType: archiveType, Metadata: map[string]string{
		mtimeName: mtimeText(tarn.TimespecOf(j.Now())),
	}}
	if text := j.unlistedText(); text != "" {
		opts.Metadata[unlistedName] = text
	}
	pr, pw := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := j.pack(ctx, &limited{w: pw, left: j.MaxSize, most: j.MaxSize}, names)
		pw.CloseWithError(err)
		packed <- err
	}()
	o, err = j.over.Overwrite(ctx, j.key.Of(Archive).String(), pr, opts)
	cancel()
	pr.CloseWithError(errStopped)
	local = <-packed
	switch {
	case err == nil:
		return o, nil, nil
	case local == nil, errors.Is(local, errStopped), errors.Is(local, context.Canceled):
		return o, nil, err
	}
	return o, local, nil
}

// errStopped ends the packing of what the storage does not take.
var errStopped = errors.New("the storage takes no more of it")

// limited refuses what is more than --max-size; a most of 0 is no limit.
type limited struct {
	w          io.Writer
	left, most int64
}

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	if l.most > 0 {
		if l.left -= int64(len(b)); l.left < 0 {
			return 0, fmt.Errorf("%w: it has more than %d bytes, as the greatest size is set: raise that, or use a larger split depth", ErrTooLarge, l.most)
		}
	}
	return l.w.Write(b)
}
