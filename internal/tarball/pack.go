package tarball

import (
	"archive/tar"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/pgzip"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

const (
	// gzipBlock is what one core compresses at a time.
	gzipBlock = 512 << 10
	tarBlock  = 512
	// archiveEnd is more than an empty archive takes.
	archiveEnd = 64 << 10
	maxLinks   = 200_000
)

// memberBound is more than a member takes in the archive, even if it can't be
// compressed: its headers, its content in blocks, and what gzip adds.
func memberBound(it *item) int64 {
	size := it.entry.Size
	if it.entry.Type != tarn.TypeFile {
		size = 0
	}
	return 4*tarBlock + 2*int64(len(it.name)) + size + size>>10 + tarBlock
}

// packer writes one archive.
type packer struct {
	*pass
	tw     *tar.Writer
	names  *spool
	memory *memory
	buf    []byte
	links  map[linkKey]linkTo
}

// linkKey is what hard links to one file have in common.
type linkKey struct {
	inode uint64
	ctime tarn.Timespec
	size  int64
}

// linkTo is the first of them.
type linkTo struct {
	name string
	sum  MD5
}

// pack writes the archive of what is there now, and makes its hash and list of
// what it has written.
func (j *job) pack(ctx context.Context, w io.Writer, names *spool) (err error) {
	zw, err := pgzip.NewWriterLevel(w, pgzip.DefaultCompression)
	if err != nil {
		return err
	}
	if err := zw.SetConcurrency(gzipBlock, runtime.GOMAXPROCS(0)+1); err != nil {
		return err
	}
	p := &packer{pass: j.newPass(true), tw: tar.NewWriter(zw), names: names, memory: j.memory(), buf: make([]byte, readBuffer), links: map[linkKey]linkTo{}}
	defer p.memory.close()
	p.reset()
	for it, err := range p.each(ctx) {
		if err == nil {
			err = p.member(it)
		}
		if err != nil {
			// The compressor's goroutines have to end; what it writes goes nowhere.
			return errors.Join(err, ignore(zw.Close()))
		}
	}
	if err := p.tw.Close(); err != nil {
		return err
	}
	if err := zw.Close(); err != nil {
		return err
	}
	j.forgets(p.memory.save())
	return nil
}

// ignore drops an error that follows from another.
func ignore(error) error { return nil }

// member writes one entry into the archive.
func (p *packer) member(it *item) error {
	if it.walk != nil {
		return p.leftOut(it, it.walk)
	}
	if it.entry.Type != tarn.TypeFile {
		return p.other(it)
	}
	switch {
	case !it.ahead, it.err == errLarge:
		return p.stream(it)
	case it.err == errChanged:
		p.changed(it)
	case it.err != nil:
		return p.leftOut(it, it.err)
	}
	it.entry.Size = int64(len(it.data))
	if err := p.header(it, tar.TypeReg, ""); err != nil {
		return err
	}
	if _, err := p.tw.Write(it.data); err != nil {
		return err
	}
	return p.count(it)
}

// count takes a file that is in the archive into the hash and the list.
func (p *packer) count(it *item) error {
	p.take(it)
	p.add(it)
	p.memory.keep(it)
	if !Listed(it.name) {
		return nil
	}
	return p.names.add(it.name)
}

func (p *packer) changed(it *item) {
	it.settled = false
	p.problems = append(p.problems, problem{path: p.onDisk(relative(it.entry.Path)), err: fmt.Errorf("%w: what the archive has of it may be of different times; the next run makes the archive again", errChanged)})
}

// stream writes a large file, or one with several names, while it is read.
func (p *packer) stream(it *item) error {
	key := linkKey{it.entry.Inode, it.entry.CTime, it.entry.Size}
	if first, ok := p.links[key]; ok {
		it.sum, it.settled = first.sum, true
		p.Progress.bytes.Add(it.entry.Size)
		if err := p.header(it, tar.TypeLink, first.name); err != nil {
			return err
		}
		return p.count(it)
	}
	f, err := p.open(&it.entry)
	if err != nil {
		return p.leftOut(it, err)
	}
	defer f.Close()
	if err := p.header(it, tar.TypeReg, ""); err != nil {
		return err
	}
	whole, err := p.copy(f, it)
	if err != nil {
		return err
	}
	err = p.unchanged(f, it, whole)
	if err == errChanged {
		p.changed(it)
	} else if err != nil {
		return err
	} else if it.entry.Inode != 0 && len(p.links) < maxLinks {
		p.links[linkKey{it.entry.Inode, it.entry.CTime, it.entry.Size}] = linkTo{it.name, it.sum}
	}
	return p.count(it)
}

// copy writes as many bytes as the header says, zeros where the file ends
// before, and returns how many the file had of them.
func (p *packer) copy(f *scan.File, it *item) (read int64, err error) {
	sum := md5.New()
	put := func(b []byte) error {
		sum.Write(b)
		p.Progress.bytes.Add(int64(len(b)))
		_, err := p.tw.Write(b)
		return err
	}
	for read < it.entry.Size {
		n, err := f.Read(p.buf[:min(int64(len(p.buf)), it.entry.Size-read)])
		read += int64(n)
		if err := put(p.buf[:n]); err != nil {
			return read, err
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return read, err
		}
	}
	clear(p.buf)
	for left := it.entry.Size - read; left > 0; {
		n := min(left, int64(len(p.buf)))
		if err := put(p.buf[:n]); err != nil {
			return read, err
		}
		left -= n
	}
	sum.Sum(it.sum[:0])
	return read, nil
}

// other writes what is no regular file. A socket can't be in an archive.
func (p *packer) other(it *item) error {
	kind, target := byte(0), ""
	switch it.entry.Type {
	case tarn.TypeDir:
		kind = tar.TypeDir
	case tarn.TypeFIFO:
		kind = tar.TypeFifo
	case tarn.TypeChar:
		kind = tar.TypeChar
	case tarn.TypeBlock:
		kind = tar.TypeBlock
	case tarn.TypeSymlink:
		e := it.entry
		if err := p.source.Complete(&e); e.Target == "" {
			return p.leftOut(it, errors.Join(err, errGone))
		}
		kind, target = tar.TypeSymlink, e.Target
	default:
		return nil
	}
	p.take(it)
	return p.header(it, kind, target)
}

// header writes the header of a member. Only pax headers have times to the
// nanosecond, and names in any bytes.
func (p *packer) header(it *item, kind byte, target string) error {
	e := &it.entry
	h := &tar.Header{
		Typeflag: kind, Name: it.name, Linkname: target, Mode: int64(e.Mode), Uid: int(e.UID), Gid: int(e.GID), Uname: e.User, Gname: e.Group,
		ModTime: e.MTime.Time(), Devmajor: int64(e.Major), Devminor: int64(e.Minor), Format: tar.FormatPAX,
	}
	switch kind {
	case tar.TypeReg:
		h.Size = e.Size
	case tar.TypeDir:
		h.Name += "/"
		if it.name == "" {
			h.Name = "./"
		}
	}
	if err := p.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("writing the header of %s: %w", p.onDisk(relative(e.Path)), err)
	}
	return nil
}
