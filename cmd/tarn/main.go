// Command tarn keeps files in the coldest, cheapest classes of S3 as plain
// archives, and everything about them warm.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"
)

// patience is how long an interrupted command may take to end by itself.
const patience = 1500 * time.Millisecond

func main() {
	// The heap is mostly buffers that are used again: collecting more often
	// costs little time, and keeps the program small.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(144 << 20) // soft: collect harder before growing
	ctx, stop := signal.NotifyContext(context.Background(), interrupts()...)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second interrupt ends the program at once
		// So does a disk that takes its time to sync: whatever is left undone
		// then is what a kill leaves undone, and that is safe.
		time.Sleep(patience)
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, osEnv(), os.Args[1:]))
}

// interrupts are the signals that end a command as Ctrl-C does: a closed
// terminal, too. What was ignored when the program started stays so, as nohup
// and shells in the background want it.
func interrupts() (list []os.Signal) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return append(list, syscall.SIGTERM) // also since an empty list would mean all signals
}

// env is what a command sees of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	// terminal is the width of the terminal on stderr, 0 if there is none.
	terminal func() int
	// password reads a line without echo; nil without a terminal.
	password func(prompt string) ([]byte, error)
}

func osEnv() *env {
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now}
	e.terminal = func() int {
		if !term.IsTerminal(int(os.Stderr.Fd())) {
			return 0
		}
		w, _, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil {
			return 80
		}
		return max(w, 40)
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		e.password = func(prompt string) ([]byte, error) {
			os.Stderr.WriteString(prompt)
			defer os.Stderr.WriteString("\n")
			return term.ReadPassword(int(os.Stdin.Fd()))
		}
	}
	return e
}
