// Package durable makes writes that survive a power cut: content goes to a
// temporary name in the same folder, is synced, gets its final name in one
// step, and the folder is synced. A reader sees the whole file or none of it.
package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TempPrefix starts the name of every temporary file. One that a killed
// process left behind may be deleted once nothing writes to it any more.
const TempPrefix = ".tmp-"

// IsTemp reports whether a file's base name is that of a temporary file.
func IsTemp(name string) bool { return strings.HasPrefix(name, TempPrefix) }

// File is a file in the making. It is written under a temporary name and
// gets its final one from Commit or Replace.
type File struct {
	f           *os.File
	path, final string // path is empty if the file has no name yet
	link        func(oldname, newname string) error
	w           writer
}

// DirectSize is the number of bytes from which a Write of a File
// may go past the page cache: where the system can, if the length is a multiple of 4096, and so are
// what was written before and the address of the bytes, as that of a large
// allocation is.
const DirectSize = 1 << 20

// Create starts the file that is to become path, whose folder must exist.
// Every File ends with exactly one of Commit, Replace and Abort.
func Create(path string, perm fs.FileMode) (*File, error) {
	for {
		temp := filepath.Join(filepath.Dir(path), tempName())
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &File{f: f, w: writer{F: f}, path: temp, final: path, link: os.Link}, nil
	}
}

// CreateNew is Create for a file that Commit ends, never Replace. Where the
// system can, the file has no name at all until then.
func CreateNew(path string, perm fs.FileMode) (*File, error) {
	if f := createAnonymous(path, perm); f != nil {
		return f, nil
	}
	return Create(path, perm)
}

// Sweep removes the temporary files in dir that nothing has written to since
// before: those that killed processes left. It is no error if that is not
// allowed, or if another process was faster.
func Sweep(dir string, before time.Time) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !IsTemp(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			os.Remove(filepath.Join(dir, e.Name())) // it stays for the next run, at worst
		}
	}
	return nil
}

func tempName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails, by its contract
	return TempPrefix + hex.EncodeToString(b[:])
}

// Write appends to the file. See DirectSize for what is large.
func (f *File) Write(p []byte) (int, error) { return f.w.Write(p) }

// Commit gives the file its final name if that is free, and returns when both
// are on the disk. A name that is taken gives fs.ErrExist and leaves what is
// there untouched. After an error nothing of the file is left.
func (f *File) Commit() error {
	if err := f.publish(); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(f.final)); err != nil {
		os.Remove(f.final) // it is ours: the name was free a moment ago
		return err
	}
	return nil
}

func (f *File) publish() error {
	if f.path == "" {
		err := f.f.Sync()
		if err == nil {
			err = publishOpen(f.f, f.final)
		}
		if e := f.f.Close(); err == nil && e != nil {
			os.Remove(f.final) // it is ours: the name was free a moment ago
			err = e
		}
		return err
	}
	if err := f.finish(); err != nil {
		return err
	}
	if err := publishNew(f.path, f.final, f.link); err != nil {
		os.Remove(f.path)
		return err
	}
	return nil
}

// Replace gives the file its final name, in place of what has it now, and
// returns when both are on the disk.
func (f *File) Replace() error {
	if err := f.finish(); err != nil {
		return err
	}
	if err := os.Rename(f.path, f.final); err != nil {
		os.Remove(f.path)
		return err
	}
	return SyncDir(filepath.Dir(f.final))
}

// finish syncs and closes the temporary file, or removes it.
func (f *File) finish() error {
	err := f.f.Sync()
	if e := f.f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(f.path)
	}
	return err
}

// Abort drops the file.
func (f *File) Abort() {
	f.f.Close() // nothing of it is kept, so its error tells nothing
	if f.path != "" {
		os.Remove(f.path)
	}
}

// WriteNew writes a small file that must not exist: fs.ErrExist if it does.
func WriteNew(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, CreateNew, (*File).Commit)
}

// WriteFile writes a small file in place of what is there, in one step.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, Create, (*File).Replace)
}

func write(path string, data []byte, perm fs.FileMode, create func(string, fs.FileMode) (*File, error), end func(*File) error) error {
	f, err := create(path, perm)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if _, err := f.Write(data); err != nil {
		f.Abort()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := end(f); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// MkdirAll makes dir and the folders above it that are missing, each of them
// on the disk when it returns.
func MkdirAll(dir string, perm fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	return Mkdir(dir, perm)
}

// Mkdir makes one folder, whose parent exists, and syncs the parent. That it
// is there already is no error; the parent is synced all the same, since
// whoever made it may not have come to that yet.
func Mkdir(dir string, perm fs.FileMode) error {
	if err := os.Mkdir(dir, perm); err != nil {
		info, e := os.Stat(dir)
		if e != nil || !info.IsDir() {
			return err
		}
	}
	return SyncDir(filepath.Dir(dir))
}
