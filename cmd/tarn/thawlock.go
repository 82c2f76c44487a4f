package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tarn-backup/tarn/internal/durable"
)

// lockPoll is how often a thaw looks whether another one on this machine has ended.
const lockPoll = 100 * time.Millisecond

// lockThaw keeps other thaws of the repository on this machine waiting until the
// function that it returns is called: two at once would ask for the same archives, and
// pay for both requests. waited says that there was another one.
func (g *globals) lockThaw(ctx context.Context, o *opened) (release func() error, waited bool, err error) {
	dir := o.dirs.Catalog(o.Config.ID)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("keeping other thaws waiting: %w", err)
	}
	for {
		lock, err := durable.TryLock(filepath.Join(dir, "thaw.lock"))
		if err == nil {
			return lock.Unlock, waited, nil
		} else if !errors.Is(err, durable.ErrLocked) {
			return nil, false, fmt.Errorf("keeping other thaws waiting: %w", err)
		}
		if !waited && !g.json {
			g.say("waiting for another run on this machine that asks for a thaw")
		}
		waited = true
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}
