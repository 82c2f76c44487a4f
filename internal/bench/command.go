package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// measure is what one run of a command took.
type measure struct {
	Seconds float64
	CPU     float64 // seconds, user and system
	Memory  int64   // bytes, maximum resident set of the largest process of the command
}

// command is a program with its arguments, or a line for sh.
type command struct {
	args []string
	env  []string // NAME=value, besides those of this process
	dir  string
}

// shell returns a command line that sh runs, and that fails with its first program.
func shell(line string) command {
	return command{args: []string{"bash", "-c", "set -o pipefail; " + line}}
}

// run executes the command and returns what it printed and took. An exit code
// other than 0 is an error with the end of what it wrote to stderr.
func (c command) run(ctx context.Context) (string, measure, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Dir = c.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return "", measure{}, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, tail(errs.String()))
	}
	s := cmd.ProcessState
	return out.String(), measure{took.Seconds(), (s.UserTime() + s.SystemTime()).Seconds(), maxResident(s)}, nil
}

// tail returns the last lines of text.
func tail(text string) string {
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-600):]
}

// warm reads every file of a set, so that each tool finds it in the page cache,
// and waits until what earlier runs wrote is on disk.
func warm(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "tar", "-cf", "-", "-C", dir, ".")
	cmd.Stdout = discard{} // a plain io.Discard would let GNU tar see /dev/null and read nothing
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("reading %s: %w", dir, err)
	}
	return settle(ctx)
}

// settle waits until what was written is on disk, so that no run pays for the one before it.
func settle(ctx context.Context) error {
	return exec.CommandContext(ctx, "sync").Run()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return io.Discard.Write(b) }
