package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tarn-backup/tarn/internal/durable"
)

// patience is how long one run waits for another that changes the same files,
// which takes each a moment.
const patience = 30 * time.Second

// Exclusively does something with this user's files while no other run of this
// program does: what is read, changed and written again would else lose what
// another has written meanwhile. It is not for use within itself.
func (d Dirs) Exclusively(do func() error) error {
	var lock *durable.Lock
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if lock, err = d.tryLock("lock"); err == nil {
			break
		}
		if !errors.Is(err, durable.ErrLocked) || time.Now().After(end) {
			return err
		}
	}
	return errors.Join(do(), lock.Unlock())
}

// LockKey keeps other runs away from the access keys of a user of AWS, for longer than
// a change of a file takes. It gives durable.ErrLocked at once if another has it.
func (d Dirs) LockKey(user string) (*durable.Lock, error) {
	return d.tryLock("key-" + filepath.Base(user) + ".lock")
}

func (d Dirs) tryLock(name string) (*durable.Lock, error) {
	if err := os.MkdirAll(d.Config, 0o700); err != nil {
		return nil, fmt.Errorf("making the configuration folder: %w", err)
	}
	return durable.TryLock(filepath.Join(d.Config, name))
}
