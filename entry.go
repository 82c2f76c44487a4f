package tarn

import "strings"

// Type says what an entry is.
type Type string

// The types of entries.
const (
	TypeFile    Type = "file"
	TypeDir     Type = "dir"
	TypeSymlink Type = "symlink"
	TypeFIFO    Type = "fifo"
	TypeSocket  Type = "socket"
	TypeChar    Type = "char"
	TypeBlock   Type = "block"
)

// Valid reports whether t is one of the known types.
func (t Type) Valid() bool {
	switch t {
	case TypeFile, TypeDir, TypeSymlink, TypeFIFO, TypeSocket, TypeChar, TypeBlock:
		return true
	}
	return false
}

// Entry is one line of a tree: a file, directory or special file of a source
// at one time.
type Entry struct {
	// Path starts with the source's name and has slashes between its
	// components: "Pictures/2010/a.jpg". It is raw bytes, in any encoding.
	Path string
	Type Type
	// Mode is the permission bits with setuid, setgid and sticky: 0 to 07777.
	Mode        uint32
	UID, GID    uint32
	User, Group string // names of UID and GID where the machine knew them
	MTime       Timespec
	// CTime is the time of the last change of the inode, zero where the
	// platform has none. It is compared, never restored.
	CTime Timespec
	Size  int64 // bytes; of regular files only
	// Content is the SHA-256 of a regular file's content; zero for an empty file.
	Content ContentHash
	// Extents, when present, say that the content is not stored as one
	// stretch: it is these stretches of other contents, one after the other.
	Extents []Extent
	Target  string // of a symlink; raw bytes
	// Inode is not zero for an entry with several hard links. Entries of one
	// source with equal Inode, CTime and Size are links to one file.
	Inode uint64
	// Major and Minor number a device.
	Major, Minor uint32
	Xattrs       []Xattr // sorted by name
	// Sparse says that the file had holes when it was read, so that restore
	// makes holes of its runs of zeros.
	Sparse bool
}

// Extent is a stretch of a stored content.
type Extent struct {
	Content        ContentHash
	Offset, Length int64 // bytes
}

// Xattr is an extended attribute. POSIX ACLs are xattrs of the system
// namespace.
type Xattr struct {
	Name  string
	Value []byte
}

// Location is where a content lies: a stretch of the uncompressed tar stream
// of one archive.
type Location struct {
	Archive      ArchiveID
	Offset, Size int64 // bytes
}

// Timespec is a time to the nanosecond as file systems keep it: seconds since
// 1970 and 0 to 999,999,999 nanoseconds after them. Unlike time.Time it is
// comparable and holds every value of a 64-bit inode.
type Timespec struct {
	Sec  int64
	Nsec int32
}

// IsZero reports whether t is the zero value.
func (t Timespec) IsZero() bool { return t == Timespec{} }

// ComparePaths orders paths as a walk that visits each directory's names in
// byte order, an entry before what it contains: component by component,
// so that "a/b" comes before "a.b". Trees are sorted by it.
func ComparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		switch {
		case x == '/':
			return -1
		case y == '/':
			return 1
		case x < y:
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// ValidPath reports whether p may stand in a tree: not empty, relative, with
// no NUL and no component that is empty, "." or "..".
func ValidPath(p string) bool {
	if p == "" || strings.IndexByte(p, 0) >= 0 {
		return false
	}
	for c := range strings.SplitSeq(p, "/") {
		if c == "" || c == "." || c == ".." {
			return false
		}
	}
	return true
}

// Within reports whether path is dir or lies below it.
func Within(path, dir string) bool {
	return strings.HasPrefix(path, dir) && (len(path) == len(dir) || path[len(dir)] == '/')
}
