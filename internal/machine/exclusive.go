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
	if err := os.MkdirAll(d.Config, 0o700); err != nil {
		return fmt.Errorf("making the configuration folder: %w", err)
	}
	var lock *durable.Lock
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if lock, err = durable.TryLock(filepath.Join(d.Config, "lock")); err == nil {
			break
		}
		if !errors.Is(err, durable.ErrLocked) || time.Now().After(end) {
			return err
		}
	}
	return errors.Join(do(), lock.Unlock())
}
