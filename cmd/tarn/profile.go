package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/metrics"
	"runtime/pprof"
	"time"
)

// startProfiles writes the profiles that the hidden flags --cpuprofile and
// --memprofile ask for: the processor's over the whole command, and the heap's
// largest of those taken every quarter of a second.
func (g *globals) startProfiles() (stop func() error, err error) {
	stop = func() error { return nil }
	if g.cpuProfile != "" {
		f, err := os.Create(g.cpuProfile)
		if err != nil {
			return stop, fmt.Errorf("--cpuprofile: %w", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return stop, errors.Join(err, f.Close())
		}
		stop = func() error {
			pprof.StopCPUProfile()
			return f.Close()
		}
	}
	if g.memProfile == "" {
		return stop, nil
	}
	quit, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- heapProfile(g.memProfile, quit) }()
	cpu := stop
	return func() error {
		close(quit)
		return errors.Join(<-done, cpu())
	}, nil
}

// heapProfile overwrites the profile at path whenever the heap has grown.
func heapProfile(path string, quit <-chan struct{}) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var most uint64
	for {
		select {
		case <-quit:
			return nil
		case <-tick.C:
		}
		if n := heapInUse(); n > most {
			most = n
			f, err := os.Create(path)
			if err != nil {
				return fmt.Errorf("--memprofile: %w", err)
			}
			if err := errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close()); err != nil {
				return err
			}
		}
	}
}

func heapInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
