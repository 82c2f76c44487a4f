package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// childExit is the exit code of a command that tarn has run, and that has said
// itself what was wrong.
type childExit int

// Error implements error.
func (c childExit) Error() string { return fmt.Sprintf("the command ended with exit code %d", int(c)) }

// saidItself reports whether an error is only that of a command that tarn has run.
func saidItself(err error) bool {
	_, ok := err.(childExit)
	return ok
}

// execIn runs a command with the lab's variables set, on the streams of tarn.
func (g *globals) execIn(ctx context.Context, vars []labVariable, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = g.stdin, direct(g.stdout), g.stderr
	cmd.Env = labEnviron(os.Environ(), vars)
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil { // where there is no such signal
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return childExit(exit.ExitCode())
	case err != nil:
		return fmt.Errorf("running %s: %w", args[0], err)
	}
	return nil
}

// direct is what is below tarn's own stdout, so that a terminal stays one.
func direct(w io.Writer) io.Writer {
	if o, ok := w.(*output); ok {
		return o.w
	}
	return w
}

// labEnviron is an environment that leads to the lab and nowhere else.
func labEnviron(environ []string, vars []labVariable) []string {
	env := slices.DeleteFunc(environ, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(labUnset, name)
	})
	for _, v := range vars {
		env = append(env, v.name+"="+v.value)
	}
	return env
}
