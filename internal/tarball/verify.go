package tarball

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Damage is what is wrong with an object of a backup.
type Damage struct {
	Key     string `json:"key"`
	File    string `json:"file,omitempty"` // in the archive
	Problem string `json:"problem"`
	// Advice is what to do about it.
	Advice string `json:"advice"`
}

// Verifying says how a backup is verified.
type Verifying struct {
	Storage storage.Storage
	Bucket  *Bucket
	// Tarballs are those that are verified.
	Tarballs []*Tarball
	// Files are the single files that are verified.
	Files []*Object
	// Data has the archives and files read that can be read without a thaw.
	Data     bool
	Report   func(Damage) // of each, from one goroutine at a time
	Progress func(n int64)
}

// Verified is what was verified.
type Verified struct {
	Tarballs int   `json:"tarballs"`
	Files    int64 `json:"files"`  // in the lists
	Read     int   `json:"read"`   // archives
	Proved   int   `json:"proved"` // of those, archives whose hash is right
	Bytes    int64 `json:"bytes"`  // that were read
	Cold     int   `json:"cold"`   // archives and single files that were not read, being cold
	Damages  int   `json:"damages"`
	Glued    int   `json:"glued"` // archives with several tars

	Singles       int `json:"single_files"`
	SinglesRead   int `json:"single_files_read"`
	SinglesProved int `json:"single_files_proved"` // of those, files whose MD5 is right
}

// What is done about damage.
const (
	adviceAgain  = "Run `tarn tarball` on the folder again: it stores the archive, its hash and its list anew."
	adviceLost   = "Run `tarn tarball` on the folder again: it stores the list anew, and no archive for that."
	adviceOrphan = "Nothing needs it. Delete it, or put the archive back from an older version."
	adviceCold   = "Limit the rule to keys that end in .tar.gz. `tarn tarball thaw` asks for a copy that can be read, and the next `tarn tarball` stores it in STANDARD again."
	adviceList   = "Delete it, and run `tarn tarball` on the folder again: it stores the list anew, and no archive for that."
	adviceFile   = "Run `tarn tarball` on the file again: it stores it anew if the disk has another."
	adviceRead   = "Restore what can be read; `tarn tarball list --versions` shows older versions."
)

// Verify compares what lies beside each archive with it. Without Data it reads no
// archive.
func (v Verifying) Verify(ctx context.Context) (*Verified, error) {
	res := &Verified{Tarballs: len(v.Tarballs), Singles: len(v.Files)}
	report := v.Report
	v.Report = func(d Damage) {
		res.Damages++
		report(d)
	}
	if err := v.beside(ctx, res); err != nil {
		return res, err
	}
	for _, o := range v.Bucket.Orphans {
		v.Report(Damage{Key: o.Key, Problem: "there is no archive beside it", Advice: adviceOrphan})
	}
	if !v.Data {
		return res, nil
	}
	for _, t := range v.Tarballs {
		if !t.Body.Readable() {
			res.Cold++
			continue
		}
		if err := v.read(ctx, t, res); err != nil {
			return res, err
		}
	}
	for _, o := range v.Files {
		if !o.Readable() {
			res.Cold++
			continue
		}
		if err := v.readFile(ctx, o, res); err != nil {
			return res, err
		}
	}
	return res, nil
}

// readFile reads a single file, and compares it with its MD5 if anybody keeps that.
func (v Verifying) readFile(ctx context.Context, o *Object, res *Verified) error {
	in, err := inspectPlain(ctx, v.Storage, o)
	if err != nil {
		return err
	}
	proved, err := readPlain(ctx, v.Storage, o, knownSum(in), io.Discard, v.Progress)
	if errors.Is(err, tarn.ErrDamaged) {
		v.Report(Damage{Key: o.Key, Problem: err.Error(), Advice: adviceFile})
	} else if err != nil {
		return err
	}
	res.SinglesRead++
	res.Bytes += o.Size
	if proved {
		res.SinglesProved++
	}
	return nil
}

// looked is what was found beside one archive.
type looked struct {
	damages []Damage
	files   int64
}

// beside looks at what lies beside the archives, of several at a time.
func (v Verifying) beside(ctx context.Context, res *Verified) error {
	all := make([]looked, len(v.Tarballs))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, t := range v.Tarballs {
		group.Go(func() (err error) {
			all[i], err = v.look(gctx, t)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, l := range all {
		res.Files += l.files
		for _, d := range l.damages {
			v.Report(d)
		}
	}
	return nil
}

// smallest is the size in bytes of a tar.gz with one empty file, about.
const smallest = 100

func (v Verifying) look(ctx context.Context, t *Tarball) (l looked, err error) {
	key := t.Body.Key
	damaged := func(key, problem, advice string) {
		l.damages = append(l.damages, Damage{Key: key, Problem: problem, Advice: advice})
	}
	if t.Body.Size < smallest {
		damaged(key, fmt.Sprintf("%d bytes are no archive", t.Body.Size), adviceAgain)
	}
	for _, o := range t.Cooled {
		damaged(o.Key, fmt.Sprintf("it lies in %s, where it can't be read: a lifecycle rule has moved it", o.Class), adviceCold)
	}
	switch {
	case len(t.Cooled) > 0:
	case t.OldSum || t.OldList:
		damaged(key, t.Unproved()+": the upload was interrupted, or the archive was overwritten", adviceAgain)
	case t.Sum == nil && t.List == nil:
		damaged(key, "neither its .md5 nor its .txt is there: its upload was interrupted, or it is a single file of that name", adviceAgain)
	case t.Sum == nil:
		damaged(key, "its .md5 is not there", adviceAgain)
	case t.List == nil:
		damaged(key, "its .txt is not there: the upload was interrupted before it", adviceLost)
	}
	if t.Sum != nil {
		if _, err := t.ReadSum(ctx, v.Storage); errors.Is(err, tarn.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			damaged(t.Sum.Key, err.Error(), adviceAgain)
		} else if err != nil {
			return l, err
		}
	}
	if t.List != nil {
		err = v.lookAtList(ctx, t, &l)
	}
	return l, err
}

// lookAtList reads the names that should be sorted.
func (v Verifying) lookAtList(ctx context.Context, t *Tarball, l *looked) error {
	damaged := func(problem string) {
		l.damages = append(l.damages, Damage{Key: t.List.Key, Problem: problem, Advice: adviceList})
	}
	var last string
	for name, err := range t.Names(ctx, v.Storage) {
		if errors.Is(err, tarn.ErrDamaged) {
			damaged(err.Error())
			return nil
		}
		if err != nil {
			return err
		}
		if l.files > 0 && name <= last {
			damaged(fmt.Sprintf("%q does not come after %q: it is not the list that was stored", name, last))
			break
		}
		last = name
		l.files++
	}
	if l.files == 0 {
		damaged("it names no file")
	}
	return nil
}

func (v Verifying) read(ctx context.Context, t *Tarball, res *Verified) error {
	damages := 0
	report := func(file, problem string) {
		damages++
		for _, side := range []*Object{t.Sum, t.List} {
			if side != nil && file == "" && strings.Contains(problem, side.Key) {
				return // which look has told
			}
		}
		v.Report(Damage{Key: t.Body.Key, File: file, Problem: problem, Advice: adviceRead})
	}
	found, err := Reading{
		Storage: v.Storage, Tarball: t, Progress: v.Progress,
		Problem: func(member string, err error) { report(member, err.Error()) },
	}.Read(ctx)
	switch {
	case errors.Is(err, tarn.ErrDamaged):
		report("", err.Error())
	case err != nil:
		return err
	}
	res.Read++
	res.Bytes += found.Read
	if found.Tars > 1 {
		res.Glued++
	}
	if found.Proved && damages == 0 {
		res.Proved++
	}
	return nil
}

// parallel is how many small objects are read at a time.
const parallel = 16

// CountFiles counts the files in the lists of archives, by the order of those; -1
// where there is no list that can be read.
func CountFiles(ctx context.Context, s storage.Storage, tarballs []*Tarball) ([]int64, error) {
	counts := make([]int64, len(tarballs))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, t := range tarballs {
		if counts[i] = -1; t.List == nil {
			continue
		}
		group.Go(func() (err error) {
			counts[i], err = countNames(gctx, t.Names(gctx, s))
			if errors.Is(err, tarn.ErrDamaged) { // which verify tells
				counts[i], err = -1, nil
			}
			return err
		})
	}
	return counts, group.Wait()
}

// Free is when an object may be deleted without paying for the rest of the
// minimum days of its class.
func (o *Object) Free(minimumDays int64) time.Time { return o.Modified.AddDate(0, 0, int(minimumDays)) }
