package restore

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

// direct makes a file under its own name, which must be free. After an error it is gone.
func (d *dir) direct(m *mark, slot int, name string, e *tarn.Entry, content []byte, warn warnFunc) error {
	at := int64(slot) * slotSize
	var field [slotSize]byte
	if copy(field[:slotSize-1], name) < len(name) {
		return unix.ENAMETOOLONG
	}
	if _, err := unix.Pwrite(m.fd, field[:], at); err != nil {
		return err
	}
	mode := e.Mode & 0o777
	fd, err := openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
	if err == nil {
		cur := m.born
		cur.mode = mode &^ m.umask
		err = d.fill(fd, name, e, content, &cur, warn)
	}
	_, done := unix.Pwrite(m.fd, []byte{0}, at)
	return errors.Join(err, done)
}

// fill gives a file that was just made its content and metadata, and closes it.
func (d *dir) fill(fd int, name string, e *tarn.Entry, content []byte, cur *info, warn warnFunc) error {
	err := writeAll(fd, content)
	if err == nil {
		err = apply(inode{fd: fd}, e, cur, warn)
	}
	// What close says of written content counts: a network file system writes only then.
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return errors.Join(err, d.remove(name))
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// mark makes and locks a mark.
func (d *dir) mark(name string) (*mark, error) {
	fd, err := openat(d.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o777)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd), d.remove(name))
	}
	born := infoOf(&st)
	umask := 0o777 &^ born.mode
	born.mtime, born.bare = tarn.Timespec{Nsec: -1}, true // no entry has that time
	return &mark{fd: fd, name: name, born: born, umask: umask}, nil
}

// unmark removes a mark. One that stays is swept away by the next run.
func (d *dir) unmark(m *mark) error {
	return errors.Join(d.remove(m.name), unix.Close(m.fd))
}

// abandoned returns what stands in the mark of a run that has ended; false if
// name is no mark, or its run goes on.
func (d *dir) abandoned(name string) (content []byte, ok bool) {
	f, err := d.read(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil, false
	}
	content, err = io.ReadAll(io.LimitReader(f, markSlots*slotSize+1))
	return content, err == nil && len(content) <= markSlots*slotSize
}
