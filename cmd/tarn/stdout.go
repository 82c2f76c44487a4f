package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// output is the stdout of every command. It remembers the first error, and
// run fails with it: so no command can lose what it prints without notice, whether
// or not it looks at the error itself. A pipe whose reader is gone ends the program
// with the signal, before an error comes back, as it ends cat; where that is
// ignored, as under systemd, it is an error like any other.
type output struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// Write writes to stdout, and nothing any more after an error.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(b)
	o.remember(err)
	return n, o.err
}

func (o *output) remember(err error) {
	if err == nil || o.err != nil {
		return
	}
	o.err = hinted{fmt.Errorf("writing to stdout: %w", bare(err)), "What was printed is not whole. Make room, or let it write to another place."}
}

// finish closes stdout, since some file systems tell of a full disk no sooner,
// and returns the error of the command or else that of its output.
func (o *output) finish(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f, ok := o.w.(*os.File); ok {
		o.remember(f.Close())
	}
	switch {
	case o.err == nil:
		return err
	case err == nil, onlyProblems(err), errors.Is(err, o.err):
		return o.err
	}
	return errors.Join(err, o.err)
}
