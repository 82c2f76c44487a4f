package durable

import (
	"os"

	"golang.org/x/sys/windows"
)

// publishNew gives temp the name final if that is free: without its flag to
// replace, MoveFileEx refuses a name that is taken.
func publishNew(temp, final string, _ func(oldname, newname string) error) error {
	from, err := windows.UTF16PtrFromString(temp)
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(final)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(from, to, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return &os.LinkError{Op: "rename", Old: temp, New: final, Err: err}
	}
	return nil
}

// SyncDir does nothing: Windows brings names to the disk with the file.
func SyncDir(string) error { return nil }
