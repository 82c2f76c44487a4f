package repo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-backup/tarn"
)

// Limits of a tree line, beyond which a reader refuses.
const (
	maxLine    = 16 << 20
	maxPath    = 1 << 16
	maxExtents = 1 << 20
)

// entryJSON is a tree line as encoding/json sees it.
type entryJSON struct {
	Path      string            `json:"path"`
	PathRaw   string            `json:"path_raw"`
	Type      tarn.Type         `json:"type"`
	Mode      string            `json:"mode"`
	UID       uint32            `json:"uid"`
	GID       uint32            `json:"gid"`
	User      string            `json:"user"`
	Group     string            `json:"group"`
	MTime     string            `json:"mtime"`
	CTime     string            `json:"ctime"`
	Size      int64             `json:"size"`
	Content   *tarn.ContentHash `json:"content"`
	Extents   []extentJSON      `json:"extents"`
	Target    string            `json:"target"`
	TargetRaw string            `json:"target_raw"`
	Inode     uint64            `json:"inode"`
	Device    []uint32          `json:"device"`
	Xattrs    map[string][]byte `json:"xattrs"`
	Sparse    bool              `json:"sparse"`
}

// extentJSON is ["<content hash>", offset, length].
type extentJSON tarn.Extent

// UnmarshalJSON implements json.Unmarshaler.
func (x *extentJSON) UnmarshalJSON(b []byte) error {
	parts := []any{&x.Content, &x.Offset, &x.Length}
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) != 3 {
		return fmt.Errorf("extent has %d parts, want 3", len(parts))
	}
	return nil
}

// ParseEntry reads a tree line into e, which it overwrites whole. The entry
// that it gives is safe to act on: its path is valid, its numbers agree.
func ParseEntry(line []byte, e *tarn.Entry) error {
	if parseCanonical(line, e) {
		return checkEntry(e)
	}
	var j entryJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return err
	}
	if err := j.entry(e); err != nil {
		return err
	}
	return checkEntry(e)
}

func (j *entryJSON) entry(e *tarn.Entry) (err error) {
	*e = tarn.Entry{
		Type: j.Type, UID: j.UID, GID: j.GID, User: j.User, Group: j.Group,
		Size: j.Size, Inode: j.Inode, Sparse: j.Sparse,
	}
	if e.Path, err = fromRaw(j.Path, j.PathRaw); err != nil {
		return err
	}
	if e.Target, err = fromRaw(j.Target, j.TargetRaw); err != nil {
		return err
	}
	mode, err := strconv.ParseUint(j.Mode, 8, 12)
	if err != nil {
		return fmt.Errorf("mode %.20q: want octal digits", j.Mode)
	}
	e.Mode = uint32(mode)
	if e.MTime, err = parseTime(j.MTime); err != nil {
		return err
	}
	if e.CTime, err = parseTime(j.CTime); err != nil {
		return err
	}
	if j.Content != nil {
		e.Content = *j.Content
	}
	for _, x := range j.Extents {
		e.Extents = append(e.Extents, tarn.Extent(x))
	}
	for name, value := range j.Xattrs {
		e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: name, Value: value})
	}
	slices.SortFunc(e.Xattrs, func(a, b tarn.Xattr) int { return strings.Compare(a.Name, b.Name) })
	if len(j.Device) == 2 {
		e.Major, e.Minor = j.Device[0], j.Device[1]
	} else if len(j.Device) != 0 {
		return fmt.Errorf("device has %d numbers, want 2", len(j.Device))
	}
	return nil
}

func parseTime(s string) (tarn.Timespec, error) {
	if s == "" {
		return tarn.Timespec{}, nil
	}
	return tarn.ParseTimespec(s)
}

// checkEntry refuses an entry that no backup writes.
func checkEntry(e *tarn.Entry) error {
	switch {
	case len(e.Path) > maxPath || !tarn.ValidPath(e.Path):
		return fmt.Errorf("path %.80q: want a relative path, with neither . nor .. in it", e.Path)
	case !e.Type.Valid():
		return fmt.Errorf("%.80q: unknown type %.20q", e.Path, e.Type)
	case e.Size < 0 || e.Type != tarn.TypeFile && (e.Size != 0 || !e.Content.IsZero() || len(e.Extents) > 0):
		return fmt.Errorf("%.80q: a %s of %d bytes", e.Path, e.Type, e.Size)
	case e.Type == tarn.TypeFile && (e.Size == 0) != e.Content.IsZero():
		return fmt.Errorf("%.80q: %d bytes and content hash %s do not agree", e.Path, e.Size, e.Content)
	case e.Type == tarn.TypeSymlink != (e.Target != ""):
		return fmt.Errorf("%.80q: a %s with the target %.80q", e.Path, e.Type, e.Target)
	case strings.IndexByte(e.Target, 0) >= 0:
		return fmt.Errorf("%.80q: a zero byte in its target", e.Path)
	case e.MTime.Nsec < 0 || e.MTime.Nsec >= 1e9:
		return fmt.Errorf("%.80q: time out of range", e.Path)
	}
	for _, x := range e.Xattrs {
		if x.Name == "" || strings.IndexByte(x.Name, 0) >= 0 {
			return fmt.Errorf("%.80q: xattr name %.80q", e.Path, x.Name)
		}
	}
	return checkExtents(e)
}

func checkExtents(e *tarn.Entry) error {
	if len(e.Extents) == 0 {
		return nil
	}
	if len(e.Extents) > maxExtents {
		return fmt.Errorf("%.80q: %d extents, limit %d", e.Path, len(e.Extents), maxExtents)
	}
	left := e.Size
	for _, x := range e.Extents {
		if x.Offset < 0 || x.Length <= 0 || x.Offset > 1<<62 || x.Length > left {
			return fmt.Errorf("%.80q: extents do not sum to its %d bytes", e.Path, e.Size)
		}
		left -= x.Length
	}
	if left != 0 {
		return fmt.Errorf("%.80q: extents do not sum to its %d bytes", e.Path, e.Size)
	}
	return nil
}
