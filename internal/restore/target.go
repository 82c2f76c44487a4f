package restore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tarn-backup/tarn"
)

// TargetOptions say how a Target treats what is there already.
type TargetOptions struct {
	// Replace lets an entry take the place of what stands at its path: files
	// and links, directories that are empty, and a link or file where a
	// directory is needed. Without it such an entry is an fs.ErrExist.
	Replace bool
	// ReplaceTrees, if set, lets an entry that is not a directory also take the
	// place of a directory that holds something, which ReplaceTrees removes.
	ReplaceTrees func(t *Target, path string) error
	// Logger hears what a user need not know; nil is silence.
	Logger *slog.Logger
}

// Target writes entries below one directory and never outside of it. Its
// methods may be called at the same time for different paths; FinishDirs comes
// after everything else that writes.
type Target struct {
	opts TargetOptions
	path string // of the directory, for messages
	root bool   // may give files away
	run  uint32 // marks the temporary names of this run
	temp atomic.Uint32
	seed maphash.Seed

	mu      sync.Mutex
	handles handles
	// made holds the hashes of the paths of directories that this run has made,
	// swept those of others that hold no temporary file of an earlier run any
	// more, and kept those of entries whose own name looks like one. Hashes,
	// since there may be millions.
	made, swept, kept map[uint64]struct{}
	// named says that files need a name from the start: the file system has no
	// others, or doesn't let this user name them afterwards.
	named atomic.Bool

	journal  journal
	warnings warnings
}

// State says what stands at an entry's path.
type State int

// The states of a path.
const (
	Missing State = iota // nothing, or nothing that can be reached without following a link
	Same                 // what the entry describes, by type, size and mtime
	Differs              // something else
)

// String returns the state's name in lower case.
func (s State) String() string {
	switch s {
	case Missing:
		return "missing"
	case Same:
		return "same"
	case Differs:
		return "differs"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// ErrFilled says that an entry is to stand where a directory does that holds
// something.
var ErrFilled error = inTheWay("a folder that is not empty stands there")

// inTheWay says what stands where an entry is to be. It is an fs.ErrExist.
type inTheWay string

func (e inTheWay) Error() string { return string(e) }

// Is reports that something exists.
func (inTheWay) Is(target error) bool { return target == fs.ErrExist }

// errNotDir says that something else stands where a directory is needed.
var errNotDir = errors.New("not a directory")

// OpenTarget opens the directory dir, which may be a symbolic link to one, and
// makes it (and what is missing above it) for its user alone if it isn't there.
// The caller closes it.
func OpenTarget(dir string, opts TargetOptions) (*Target, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Target{
		opts: opts, path: dir, root: os.Geteuid() == 0, seed: maphash.MakeSeed(),
		made: map[uint64]struct{}{}, swept: map[uint64]struct{}{}, kept: map[uint64]struct{}{},
	}
	var b [4]byte
	rand.Read(b[:]) // never fails
	t.run = binary.BigEndian.Uint32(b[:])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, t.explain(fmt.Errorf("making target: %w", err))
	}
	top, err := openTop(dir)
	if err != nil {
		return nil, t.explain(fmt.Errorf("opening target %q: %w", dir, err))
	}
	t.handles.init(top)
	return t, nil
}

// Close releases the target's directories. It writes nothing: what FinishDirs
// was not called for stays as it is.
func (t *Target) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.journal.close()
	t.handles.dropAll()
	return errors.Join(err, t.handles.top.dir.close())
}

// Sync makes durable what was written, once for the whole file system of the
// target; a sync per file would cost more than the restore.
func (t *Target) Sync() error {
	if err := t.handles.top.dir.sync(); err != nil {
		return t.explain(fmt.Errorf("syncing target %q: %w", t.path, err))
	}
	return nil
}

// Mkdir makes the directory of e and what is missing above it, and keeps one
// that is there. Until FinishDirs gives it what e says it is open to its owner
// alone, so that read-only directories can be filled and nobody looks into
// half of a private one. Directories above it that no Mkdir names stay so.
func (t *Target) Mkdir(e *tarn.Entry) error {
	if e.Type != tarn.TypeDir {
		return fmt.Errorf("making directory %q: entry is a %s", e.Path, e.Type)
	}
	found := false
	err := t.inParent(e.Path, true, func(d *dir, name string) error {
		err := d.mkdir(name)
		if err == nil {
			t.markMade(e.Path)
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		found = true
		return t.adopt(d, name, e.Path)
	})
	if err == nil && found {
		// What a killed run left goes also where nothing is to be written: its
		// mark stays in folders whose files are all whole.
		if h, err := t.acquire(e.Path, true); err == nil { // else the first write says what is wrong
			t.release(h)
		}
	}
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		err = t.journal.add(t, e)
	}
	return t.fail("making directory", e.Path, err)
}

// adopt makes a usable directory of what stands at name.
func (t *Target) adopt(d *dir, name, path string) error {
	st, err := d.stat(name)
	switch {
	case err != nil:
		return err
	case st.typ != tarn.TypeDir:
		if err := t.clearForDir(d, name, st.typ); err != nil {
			return err
		}
		t.drop(path)
		return d.mkdir(name)
	case !t.root && st.mode&0o700 != 0o700:
		// An earlier run made it read-only at its end. If it is someone else's,
		// what is to be written there says so.
		if err := d.chmod(name, st.mode|0o700); err != nil {
			t.opts.Logger.Debug("making directory writable", "path", path, "error", err)
		}
	}
	return nil
}

// clearForDir removes what stands where a directory is needed, if it may.
func (t *Target) clearForDir(d *dir, name string, typ tarn.Type) error {
	if !t.opts.Replace {
		return fmt.Errorf("%w: %w", errNotDir, inTheWay(fmt.Sprintf("a %s stands there, and overwriting is not allowed", typ)))
	}
	return d.remove(name)
}

// State says what stands at e's path, without reading content. Files are the
// same if size and mtime are, symbolic links if their targets are, devices if
// their numbers are, everything else if the type is. Whether hard links are
// linked is not looked at.
func (t *Target) State(e *tarn.Entry) (State, error) {
	state := Missing
	t.keep(e.Path)
	err := t.inParent(e.Path, false, func(d *dir, name string) error {
		st, err := d.stat(name)
		if err != nil {
			return err
		}
		same := st.typ == e.Type
		switch {
		case !same:
		case e.Type == tarn.TypeFile:
			same = st.size == e.Size && st.mtime == e.MTime
		case e.Type == tarn.TypeChar || e.Type == tarn.TypeBlock:
			same = st.major == e.Major && st.minor == e.Minor
		case e.Type == tarn.TypeSymlink:
			to, err := d.readlink(name)
			if err != nil {
				return err
			}
			same = to == e.Target
		}
		if state = Differs; same {
			state = Same
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return Missing, nil
	}
	return state, t.fail("looking at", e.Path, err)
}

// SetMetadata gives an existing entry of e's type, whose content is right, the
// owner, mode, xattrs and mtime of e, and touches nothing that is right already.
func (t *Target) SetMetadata(e *tarn.Entry) error {
	t.keep(e.Path)
	err := t.inParent(e.Path, false, func(d *dir, name string) error {
		return d.setMeta(name, e, t.warner(e.Path))
	})
	return t.fail("setting metadata of", e.Path, err)
}

// inParent calls f with the open directory that path lies in, making it if mk
// is set, and path's last component.
func (t *Target) inParent(path string, mk bool, f func(d *dir, name string) error) error {
	for try := 0; ; try++ {
		h, name, err := t.parent(path, mk)
		if err != nil {
			return err
		}
		err = f(h.dir, name)
		t.release(h)
		if mk && try == 0 && errors.Is(err, fs.ErrNotExist) {
			// Someone removed the directory that the handle is open on.
			t.dropAll()
			continue
		}
		return err
	}
}

// parent opens the directory that path lies in and returns path's last component.
func (t *Target) parent(path string, mk bool) (*handle, string, error) {
	if !tarn.ValidPath(path) {
		return nil, "", errors.New("path is not allowed in a tree")
	}
	if err := validOnThisSystem(path); err != nil {
		return nil, "", err
	}
	up, name := split(path)
	h, err := t.acquire(up, mk)
	return h, name, err
}

// split cuts path into the directory that it lies in, "" for the target itself,
// and its last component.
func split(path string) (up, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}
