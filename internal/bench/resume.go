package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// saved is what was measured so far, in the file results.json of -dir: a run of an
// hour that is interrupted goes on with -resume where it was. Its parts are ratios
// within a round and a tool, so that it does not matter when they were measured.
type saved struct {
	Done     []string // rounds of a tool that are whole
	Measures []savedMeasures
	Stored   []savedCount
	Requests []savedCount
	OneFile  struct{ Bytes, Requests int64 }
	Dates    []string // days of measuring
}

type savedMeasures struct {
	Tool, Set string
	Action    action
	Measures  []measure
}

type savedCount struct {
	Tool, Set string
	Action    action
	Count     int64
}

func (b *bench) resultsFile() string { return filepath.Join(b.dir, "results.json") }

// load takes up what a run before has saved.
func (b *bench) load() error {
	data, err := os.ReadFile(b.resultsFile())
	if errors.Is(err, fs.ErrNotExist) || !b.resume {
		return nil
	}
	if err != nil {
		return err
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("reading %s: %w; run without -resume to begin anew", b.resultsFile(), err)
	}
	for _, d := range s.Done {
		b.done[d] = true
	}
	for _, m := range s.Measures {
		b.results[key{m.Tool, m.Set, m.Action}] = m.Measures
	}
	for _, c := range s.Stored {
		b.stored[key{c.Tool, c.Set, c.Action}] = c.Count
	}
	for _, c := range s.Requests {
		b.requests[key{c.Tool, c.Set, c.Action}] = int(c.Count)
	}
	b.oneFile.bytes, b.oneFile.requests = s.OneFile.Bytes, s.OneFile.Requests
	b.dates = s.Dates
	return nil
}

// save notes that a tool's round is whole.
func (b *bench) save(round string) error {
	b.done[round] = true
	if today := time.Now().Format(time.DateOnly); len(b.dates) == 0 || b.dates[len(b.dates)-1] != today {
		b.dates = append(b.dates, today)
	}
	s := saved{Dates: b.dates}
	for d := range b.done {
		s.Done = append(s.Done, d)
	}
	for k, m := range b.results {
		s.Measures = append(s.Measures, savedMeasures{k.tool, k.set, k.action, m})
	}
	for k, n := range b.stored {
		s.Stored = append(s.Stored, savedCount{k.tool, k.set, k.action, n})
	}
	for k, n := range b.requests {
		s.Requests = append(s.Requests, savedCount{k.tool, k.set, k.action, int64(n)})
	}
	s.OneFile.Bytes, s.OneFile.Requests = b.oneFile.bytes, b.oneFile.requests
	data, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	next := b.resultsFile() + ".new"
	if err := os.WriteFile(next, data, 0o666); err != nil {
		return err
	}
	return os.Rename(next, b.resultsFile())
}
