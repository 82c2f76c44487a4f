package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// pollDefault is how often --wait looks.
const pollDefault = 10 * time.Minute

// waitFlags are the flags of commands that can wait for a thaw.
type waitFlags struct {
	wait bool
	poll time.Duration
}

// register adds the flags; look is what each look takes.
func (f *waitFlags) register(fl *pflag.FlagSet, look string) {
	fl.BoolVar(&f.wait, "wait", false, "wait for what is being thawed")
	fl.DurationVar(&f.poll, "poll", pollDefault, "how often --wait looks, which is "+look)
}

func (f *waitFlags) check() error {
	if f.poll < time.Millisecond {
		return fmt.Errorf("--poll %v: want a time such as 10m", f.poll)
	}
	return nil
}

// lookAtArchives is what a look at the archives of a repository takes.
const lookAtArchives = "a LIST request for 1,000 archives"
