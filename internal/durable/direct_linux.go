package durable

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writer appends to F, from its beginning, past the page cache where that may
// be: see DirectSize. It is not the end of writing: only a sync of F is.
type writer struct {
	F       *os.File
	on      bool
	refused bool  // by the file system; it is not asked again
	n       int64 // bytes written so far
}

// directBlock is what offset, length and memory of a direct write are multiples
// of: the largest logical block that disks have.
const directBlock = 4096

// Write implements io.Writer. A long run of whole blocks goes to the disk straight
// from p: what is written once and not read again soon would only push what is
// of use out of the page cache, and copying it there and finding pages for it
// costs more than all the rest of a Put.
func (w *writer) Write(p []byte) (int, error) {
	want := !w.refused && len(p) >= DirectSize && len(p)%directBlock == 0 && w.n%directBlock == 0 &&
		uintptr(unsafe.Pointer(unsafe.SliceData(p)))%directBlock == 0
	if want != w.on && w.set(want) != nil {
		if w.on {
			return 0, os.NewSyscallError("fcntl", unix.EINVAL) // never seen: a flag that can't be taken back
		}
		w.refused, want = true, false
	}
	n, err := w.F.Write(p)
	w.n += int64(n)
	if want && err != nil {
		// Some file systems take the flag and refuse the write. If it is
		// something else, such as a full disk, the plain write says so.
		w.refused = true
		if w.set(false) == nil {
			var m int
			m, err = w.F.Write(p[n:])
			n, w.n = n+m, w.n+int64(m)
		}
	}
	return n, err
}

func (w *writer) set(on bool) error {
	conn, err := w.F.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err == nil {
			flags &^= unix.O_DIRECT
			if on {
				flags |= unix.O_DIRECT
			}
			_, err = unix.FcntlInt(fd, unix.F_SETFL, flags)
		}
		failed = err
	}); err != nil {
		return err
	}
	if failed == nil {
		w.on = on
	}
	return failed
}
