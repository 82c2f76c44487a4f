//go:build unix

package scan

import (
	"fmt"

	"github.com/tarn-backup/tarn"
)

// Complete sets what Entries leaves out: the target of a symlink, and the
// extended attributes, ACLs among them, sorted by name. Attributes that can't be
// read or recorded (a name that is not UTF-8) are left out and named in the error; the
// rest of the entry is set all the same.
func (s *Source) Complete(e *tarn.Entry) error {
	rel, err := s.rel(e.Path)
	if err != nil {
		return err
	}
	disk := s.onDisk(rel)
	d, name, err := s.openParent(s.below(rel))
	if err != nil {
		return fmt.Errorf("looking at %s: %w", disk, err)
	}
	defer d.close()
	if e.Type == tarn.TypeSymlink {
		if e.Target, err = d.readLink(name); err != nil {
			return fmt.Errorf("reading the target of %s: %w", disk, err)
		}
	}
	return addXattrs(e, disk, pathXattrs(d.xattrPath(name, disk)))
}
