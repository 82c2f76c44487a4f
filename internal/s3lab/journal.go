package s3lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
)

// maxLine is more than the longest line that the lab writes: keys and headers
// have their limits.
const maxLine = 1 << 20

// journal keeps events in a file, a JSON document on a line each. A line is
// written in one piece and belongs to the journal once its line feed does, so
// a lab that is killed loses nothing that it has answered. (A power cut may
// cost the last lines: nothing is synced.)
type journal struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
}

// openJournal opens the journal in a file or makes one, applies what is in it,
// and cuts off a line that was not written to its end.
func openJournal(path string, apply func(Event)) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f}
	j.size, err = readEvents(f, func(e Event) bool { apply(e); return true })
	if err == nil {
		err = f.Truncate(j.size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), f.Close())
	}
	return j, nil
}

// readEvents reads whole lines until yield returns false, and returns how many
// bytes they have.
func readEvents(r io.Reader, yield func(Event) bool) (int64, error) {
	b := bufio.NewReaderSize(r, maxLine)
	var size int64
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, fmt.Errorf("line %d: %w", n, err)
		}
		e, err := parseEvent(line)
		if err != nil {
			return size, fmt.Errorf("line %d: %w", n, err)
		}
		size += int64(len(line))
		if !yield(e) {
			return size, nil
		}
	}
}

func (j *journal) append(e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if len(line) >= maxLine {
		return errors.New("writing the journal: a line is too long")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	// At a place of its own: what a failed write has left is written over.
	if _, err := j.file.WriteAt(append(line, '\n'), j.size); err != nil {
		return fmt.Errorf("writing the journal: %w", errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(len(line)) + 1
	return nil
}

func (j *journal) all() iter.Seq2[Event, error] {
	j.mu.Lock()
	size := j.size
	j.mu.Unlock()
	return func(yield func(Event, error) bool) {
		f, err := os.Open(j.path)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		if _, err := readEvents(io.LimitReader(f, size), func(e Event) bool { return yield(e, nil) }); err != nil {
			yield(Event{}, fmt.Errorf("reading %s: %w", j.path, err))
		}
	}
}

func (j *journal) close() error { return j.file.Close() }
