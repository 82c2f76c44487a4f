//go:build unix

package scan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

// xattrSource reads the extended attributes of one thing. Both functions return the
// size of what there is, and fill b if it is large enough.
type xattrSource struct {
	list func(b []byte) (int, error)
	get  func(name string, b []byte) (int, error)
}

// addXattrs sets the attributes of an entry; disk names it in errors.
func addXattrs(e *tarn.Entry, disk string, x xattrSource) error {
	e.Xattrs = nil
	list, err := readSized(256, x.list)
	if xattrsUnsupported(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing extended attributes of %s: %w", disk, err)
	}
	var errs []error
	for name := range bytes.SplitSeq(list, []byte{0}) {
		if len(name) == 0 {
			continue
		}
		if !utf8.Valid(name) {
			errs = append(errs, fmt.Errorf("extended attribute %q of %s: its name is not UTF-8", name, disk))
			continue
		}
		value, err := readSized(128, func(b []byte) (int, error) { return x.get(string(name), b) })
		if xattrGone(err) {
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reading extended attribute %q of %s: %w", name, disk, err))
			continue
		}
		e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: string(name), Value: value})
	}
	slices.SortFunc(e.Xattrs, func(a, b tarn.Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return errors.Join(errs...)
}

// readSized reads what may grow while one asks for its size.
func readSized(size int, read func([]byte) (int, error)) ([]byte, error) {
	for {
		b := make([]byte, size)
		n, err := read(b)
		if err == nil {
			return b[:n:n], nil
		}
		if !xattrTooLarge(err) {
			return nil, err
		}
		if n, err = read(nil); err != nil {
			return nil, err
		}
		size = max(2*size, n)
	}
}
