package scan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/tarn-backup/tarn"
)

// names are the names of one directory in one buffer: about 16 bytes each
// beside their own.
type names struct {
	buf  []byte
	refs []nameRef
}

// nameRef is a name in a buffer, where a zero byte follows it as system calls want it.
type nameRef struct {
	key  uint64 // what the order mostly hangs on; see sort
	off  uint32
	size uint16
	kind kind
}

// kind is what a directory says about an entry without a stat.
type kind uint8

const (
	kindUnknown kind = iota
	kindDir
	kindOther
)

var (
	errManyNames = errors.New("more names than are read ahead")
	errNamesSize = errors.New("the names of the directory take more than 4 GiB")
)

func (n *names) reset() { n.buf, n.refs = n.buf[:0], n.refs[:0] }

// add appends a name, up to limit of them.
func (n *names) add(name []byte, k kind, limit int) error {
	if len(n.refs) >= limit {
		return errManyNames
	}
	if uint64(len(n.buf))+uint64(len(name)) >= math.MaxUint32 {
		return errNamesSize
	}
	n.refs = append(n.refs, nameRef{off: uint32(len(n.buf)), size: uint16(len(name)), kind: k})
	n.buf = append(append(n.buf, name...), 0)
	return nil
}

// at returns the i-th name.
func (n *names) at(i int) []byte { return n.refs[i].in(n.buf) }

func (r nameRef) in(buf []byte) []byte { return buf[r.off : r.off+uint32(r.size)] }

// zeroed returns the i-th name with the zero byte after it.
func (n *names) zeroed(i int) []byte {
	r := n.refs[i]
	return n.buf[r.off : r.off+uint32(r.size)+1]
}

// sort sorts by bytes. Most comparisons are of two integers: the eight bytes
// after what all names begin with, as in "IMG_20231224_182011.jpg". With slashes,
// directories sort as if their names ended in one.
func (n *names) sort(slashes bool) {
	if len(n.refs) < 2 {
		return
	}
	common := n.at(0)
	for i := range n.refs {
		name := n.at(i)
		j := 0
		for j < len(common) && j < len(name) && name[j] == common[j] {
			j++
		}
		common = common[:j]
	}
	for i := range n.refs {
		var b [8]byte
		end := copy(b[:], n.at(i)[len(common):])
		if slashes && n.refs[i].kind == kindDir && end < len(b) {
			b[end] = '/'
		}
		n.refs[i].key = binary.BigEndian.Uint64(b[:])
	}
	slices.SortFunc(n.refs, func(a, b nameRef) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		x, y := a.in(n.buf), b.in(n.buf)
		if slashes {
			return compareSlashed(x, y, a.kind == kindDir, b.kind == kindDir)
		}
		return bytes.Compare(x, y)
	})
}

// compareSlashed compares two names of one directory as bytes, those of
// directories with a slash after them.
func compareSlashed(a, b []byte, aDir, bDir bool) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return cmp.Compare(after(a, n, aDir), after(b, n, bDir))
}

// after is the byte of a name at n, which is not beyond its end; -1 where there is none.
func after(name []byte, n int, dir bool) int {
	switch {
	case n < len(name):
		return int(name[n])
	case dir:
		return '/'
	}
	return -1
}

// find returns the index of a name before sort, or -1.
func (n *names) find(name string) int {
	if name == "" {
		return -1
	}
	return slices.IndexFunc(n.refs, func(r nameRef) bool { return string(r.in(n.buf)) == name })
}

// isDir reports whether a name is a directory, by a stat if its directory
// did not say.
func (n *names) isDir(d dir, i int) bool {
	if k := n.refs[i].kind; k != kindUnknown {
		return k == kindDir
	}
	var e tarn.Entry
	if err := d.stat(n.zeroed(i), &e); err != nil || e.Type != tarn.TypeDir {
		n.refs[i].kind = kindOther
		return false
	}
	n.refs[i].kind = kindDir
	return true
}
