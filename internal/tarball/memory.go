package tarball

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/durable"
)

// memoryHead begins a file of remembered hashes. Files follow in the order of
// the list, each as the length of its name, the name, size, times and MD5;
// then the CRC-32C of all of it.
const memoryHead = "tarn md5 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// memory is what is known of the files of one archive from earlier runs, and
// what this run will know.
type memory struct {
	path  string
	old   *remembered
	out   *durable.File
	w     *bufio.Writer
	sum   uint32
	buf   []byte
	err   error // of writing: to remember is a favour, and no reason to fail
	files int
	news  bool // something is not in the old file
}

// sweep removes what killed runs have left in the folder of what is remembered.
func (r *run) sweep() {
	err := error(nil)
	if r.Memory != "" {
		err = durable.Sweep(r.Memory, r.Now().Add(-24*time.Hour))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Log.Info("what killed runs have left is not looked for", "folder", r.Memory, "error", err)
	}
}

// forgets says once in a run that hashes are not remembered, if err says why.
func (r *run) forgets(err error) {
	if err != nil {
		r.forgotten.Do(func() { r.Log.Warn("hashes are not remembered", "error", err) })
	}
}

// memory opens what is remembered of the files of an archive. The name of the
// file follows from where they lie, so that another bucket knows them, too.
func (j *job) memory() *memory {
	m := new(memory)
	if j.Memory == "" {
		return m
	}
	what := sha256.Sum256([]byte(fmt.Sprintf("%s\x00%s\x00%v", j.path, j.dir, j.split.Recursive)))
	m.path = filepath.Join(j.Memory, hex.EncodeToString(what[:16]))
	if j.TrustMTime {
		var err error
		if m.old, err = openRemembered(m.path); err != nil {
			j.Log.Warn("what was remembered of earlier runs can't be read: every file is", "file", m.path, "error", err)
		}
	}
	if m.err = durable.MkdirAll(j.Memory, 0o700); m.err == nil {
		m.out, m.err = durable.Create(m.path, 0o600)
	}
	if m.out != nil {
		m.w = bufio.NewWriterSize(m, 64<<10)
		m.w.WriteString(memoryHead)
	}
	return m
}

// Write implements io.Writer for what goes into the file.
func (m *memory) Write(b []byte) (int, error) {
	m.sum = crc32.Update(m.sum, castagnoli, b)
	return m.out.Write(b)
}

// keep remembers a file that was read.
func (m *memory) keep(it *item) {
	if m.out == nil || m.err != nil || !it.settled || it.err != nil {
		return
	}
	m.files++
	m.news = m.news || !it.known
	e := &it.entry
	b := binary.AppendUvarint(m.buf[:0], uint64(len(it.name)))
	b = append(b, it.name...)
	b = binary.AppendUvarint(b, uint64(e.Size))
	for _, t := range []tarn.Timespec{e.MTime, e.CTime} {
		b = binary.AppendVarint(b, t.Sec)
		b = binary.AppendUvarint(b, uint64(t.Nsec))
	}
	m.buf = append(b, it.sum[:]...)
	_, m.err = m.w.Write(m.buf)
}

// save makes the new file take the place of the old one, if it says anything new.
func (m *memory) save() error {
	defer m.close()
	if m.out == nil || m.err != nil || !m.news && m.files == m.old.all() {
		return m.err
	}
	if err := m.w.Flush(); err != nil {
		return err
	}
	if _, err := m.out.Write(binary.BigEndian.AppendUint32(nil, m.sum)); err != nil {
		return err
	}
	out := m.out
	m.out = nil
	return out.Replace()
}

// close drops what was not saved.
func (m *memory) close() {
	m.old.close()
	if m.out != nil {
		m.out.Abort()
		m.out = nil
	}
}

// remembered steps through the files of an earlier run. A nil one knows none.
type remembered struct {
	f     *os.File
	r     *bufio.Reader
	files int

	name         string
	size         int64
	mtime, ctime tarn.Timespec
	sum          MD5
	end          bool
}

var errMemory = errors.New("it is damaged")

// openRemembered opens a file of remembered hashes, all of which it checks
// first; nil if there is none.
func openRemembered(path string) (*remembered, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	r := &remembered{f: f}
	if err := r.check(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func (r *remembered) check() error {
	info, err := r.f.Stat()
	if err != nil {
		return err
	}
	body := info.Size() - 4
	if body < int64(len(memoryHead)) {
		return errMemory
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(r.f, 0, body)); err != nil {
		return err
	}
	var want [4]byte
	if _, err := r.f.ReadAt(want[:], body); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(want[:]) != sum.Sum32() {
		return errMemory
	}
	r.r = bufio.NewReaderSize(io.NewSectionReader(r.f, 0, body), 64<<10)
	head := make([]byte, len(memoryHead))
	if _, err := io.ReadFull(r.r, head); err != nil || !bytes.Equal(head, []byte(memoryHead)) {
		return errMemory
	}
	r.next()
	return nil
}

// next reads the next file. What the checksum covers ends where it should.
func (r *remembered) next() {
	n, err := binary.ReadUvarint(r.r)
	if err != nil || n > maxName {
		r.end = true
		return
	}
	r.files++
	name := make([]byte, n)
	if _, err = io.ReadFull(r.r, name); err != nil {
		r.end = true
		return
	}
	r.name = string(name)
	var size uint64
	size, err = binary.ReadUvarint(r.r)
	r.size = int64(size)
	for _, t := range []*tarn.Timespec{&r.mtime, &r.ctime} {
		if err == nil {
			t.Sec, err = binary.ReadVarint(r.r)
		}
		var nsec uint64
		if err == nil {
			nsec, err = binary.ReadUvarint(r.r)
		}
		t.Nsec = int32(nsec)
	}
	if err == nil {
		_, err = io.ReadFull(r.r, r.sum[:])
	}
	r.end = err != nil
}

// find returns the remembered hash of a file that has not changed since, to
// all that can be seen of it. It has to be asked in the order of the list.
func (r *remembered) find(name string, e *tarn.Entry) (MD5, bool) {
	if r == nil {
		return MD5{}, false
	}
	for !r.end && strings.Compare(r.name, name) < 0 {
		r.next()
	}
	ok := !r.end && r.name == name && r.size == e.Size && r.mtime == e.MTime && r.ctime == e.CTime
	return r.sum, ok
}

// all is how many files there are, whether they were asked for or not.
func (r *remembered) all() int {
	if r == nil {
		return -1
	}
	for !r.end {
		r.next()
	}
	return r.files
}

func (r *remembered) close() {
	if r != nil {
		r.f.Close()
	}
}
