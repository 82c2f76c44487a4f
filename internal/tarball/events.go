package tarball

import "sync/atomic"

// EventKind says what an Event is about.
type EventKind int

// What happens to a folder or a file, in this order.
const (
	Listing   EventKind = iota // its files are being listed
	Skipped                    // it is a folder that a system keeps for itself
	Empty                      // it has no files, so that there is no archive
	Found                      // it has so many files
	Unknown                    // its archive is there, and nothing says what it has (Err): it is made again
	Hashing                    // they are being read
	Hashed                     // this is their hash
	Unchanged                  // its archive is there, with the same hash
	Uploading                  // its archive is made and uploaded, or would be
	Uploaded                   // the archive, its hash and its list are there
	Mended                     // its archive is there, and so is again what lies beside it
	Confirmed                  // as Unchanged, and its list is stored again since one of another split depth was newer
	Failed                     // there is no new archive of it
)

// Event is a step of a run.
type Event struct {
	Kind  EventKind
	Path  string // on disk
	Key   string // of the archive, or the file
	Own   bool   // the files of the folder, without what lies below it
	File  bool   // it is a single file, which has no archive
	Files int64  // Found and later
	Bytes int64  // of the files; with Uploaded, of the archive
	Hash  MD5    // Hashed
	Err   error  // Failed, Unknown
}

// Progress is what a run has done so far; it may be read at any time.
type Progress struct {
	files, bytes, stored   atomic.Int64
	totalFiles, totalBytes atomic.Int64
	counted                atomic.Bool
	current                atomic.Pointer[string]
}

// Status is a reading of a Progress.
type Status struct {
	Files, Bytes           int64 // read, or found to be as they were
	TotalFiles, TotalBytes int64 // to be read; final when Counted, but for files that are read twice
	Counted                bool
	Stored                 int64 // bytes that the storage has acknowledged
	Current                string
}

// Read returns the state of the run.
func (p *Progress) Read() Status {
	s := Status{
		Files: p.files.Load(), Bytes: p.bytes.Load(), TotalFiles: p.totalFiles.Load(), TotalBytes: p.totalBytes.Load(),
		Counted: p.counted.Load(), Stored: p.stored.Load(),
	}
	if c := p.current.Load(); c != nil {
		s.Current = *c
	}
	return s
}

// again says that n more bytes are read than there are: those of an archive
// that has turned out to be changed.
func (p *Progress) again(n int64) { p.totalBytes.Add(n) }
