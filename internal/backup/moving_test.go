package backup_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// version is a state of a file: n bytes that are all the number of the state,
// so that half of two shows.
func version(v, n int) []byte { return bytes.Repeat([]byte{byte(v%250 + 1)}, n) }

// consistent reports whether data is one version, of the length that it has.
func consistent(data []byte, length func(v int) int) error {
	if len(data) == 0 {
		return nil // it is made empty before it is written
	}
	for i, b := range data {
		if b != data[0] {
			return fmt.Errorf("byte %d is of version %d, the first of %d", i, b, data[0])
		}
	}
	if want := length(int(data[0]) - 1); want >= 0 && len(data) != want {
		return fmt.Errorf("%d bytes of version %d, which has %d", len(data), data[0], want)
	}
	return nil
}

// moving is a way in which a file does not hold still. Its step makes version v
// of the file that has had the one before it.
type moving struct {
	name   string
	length func(size, v int) int
	step   func(path string, data []byte) error
}

func same(size, _ int) int      { return size }
func growing(size, v int) int   { return size + 1000*(v%250) }
func shrinking(size, v int) int { return size - 1000*(v%250) }

func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// rewrite writes into the file in several pieces, and pauses between them.
func rewrite(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for from := 0; from < len(data); from += len(data)/4 + 1 {
		if _, err := f.WriteAt(data[from:min(len(data), from+len(data)/4+1)], int64(from)); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return f.Truncate(int64(len(data)))
}

// disguised is rewrite with the file's old time put back.
func disguised(path string, data []byte) error {
	if err := rewrite(path, data); err != nil {
		return err
	}
	old := time.Unix(1_600_000_000, 0)
	return os.Chtimes(path, old, old)
}

func deleted(path string, data []byte) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	time.Sleep(2 * time.Millisecond)
	return replace(path, data)
}

// Files that are written while they are backed up come out as one reading, or
// are reported. A small one is read whole, a large one is streamed.
func TestFilesThatMove(t *testing.T) {
	ways := []moving{
		{"replaced", same, replace},
		{"replaced by longer ones", growing, replace},
		{"rewritten", same, rewrite},
		{"rewritten with its time put back", same, disguised},
		{"growing", growing, rewrite},
		{"shrinking", shrinking, rewrite},
		{"deleted", same, deleted},
	}
	for _, size := range []int{400_000, 9 << 20} {
		for _, way := range ways {
			t.Run(fmt.Sprintf("%d bytes %s", size, way.name), func(t *testing.T) {
				t.Parallel()
				m := &mover{t: t, way: way, size: size, dir: filepath.Join(e2e.Scratch(t), "src")}
				m.test()
			})
		}
	}
}

// rounds is how many backups are made of each file; TARN_ROUNDS sets it.
func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("TARN_ROUNDS")); err == nil {
		return n
	}
	return 10
}

type mover struct {
	t    *testing.T
	way  moving
	size int
	dir  string
	v    int
	// slow says that a step of this round took so long that the file may have
	// held still, in its middle, for as long as a backup asks for.
	slow bool
}

func (m *mover) path() string { return filepath.Join(m.dir, "d", "file") }

func (m *mover) length(v int) int { return m.way.length(m.size, v) }

// test runs backups beside a writer, and looks at each snapshot.
func (m *mover) test() {
	t := m.t
	s := storagetest.NewMemory()
	e2e.Write(t, m.path(), version(0, m.length(0)))
	e2e.Write(t, filepath.Join(m.dir, "d", "still"), []byte("still"))
	b := prepared(t, s, false, m.dir)
	b.ArchiveSize = 64 << 20
	held, reported := 0, 0
	for round := range rounds() {
		stop, failed := m.write()
		res, err := b.Backup(t.Context(), s, m.dir, func(cfg *backup.Config) { cfg.Force = round%2 == 1 })
		close(stop)
		if werr := <-failed; werr != nil {
			t.Fatal(werr)
		}
		if err != nil {
			t.Fatal(err)
		}
		target := e2e.Scratch(t)
		back, err := b.Restore(t.Context(), s, res.Snapshot, target, nil)
		if err != nil || back.Problems > 0 {
			t.Fatalf("restoring: %+v, %v", back, err)
		}
		data, err := os.ReadFile(filepath.Join(target, "src", "d", "file"))
		switch {
		case os.IsNotExist(err) && res.Problems == 0 && m.way.name != "deleted":
			t.Error("it is neither in the snapshot nor reported")
		case err != nil && !os.IsNotExist(err):
			t.Error(err)
		case err == nil:
			if err := consistent(data, m.length); err != nil && !m.slow {
				t.Errorf("%v (%d problems)", err, res.Problems)
			}
		}
		if still, err := os.ReadFile(filepath.Join(target, "src", "d", "still")); err != nil || string(still) != "still" {
			t.Errorf("its neighbour: %q, %v", still, err)
		}
		if res.Problems > 0 {
			reported++
		} else {
			held++
		}
	}
	t.Logf("%d consistent readings, %d reports", held, reported)
	b.Check(t.Context(), s, 100)
}

// write makes versions of the file until stop is closed, with pauses around
// the time for which the backup wants a file to hold still.
func (m *mover) write() (stop chan struct{}, failed chan error) {
	m.slow = false
	stop, failed = make(chan struct{}), make(chan error, 1)
	var started sync.WaitGroup
	started.Add(1)
	go func() {
		failed <- m.versions(stop, started.Done)
	}()
	started.Wait()
	return stop, failed
}

func (m *mover) versions(stop chan struct{}, started func()) error {
	once := sync.OnceFunc(started)
	defer once()
	for {
		m.v++
		began := time.Now()
		if err := m.way.step(m.path(), version(m.v, m.length(m.v))); err != nil {
			return err
		}
		m.slow = m.slow || time.Since(began) > 20*time.Millisecond
		once()
		select {
		case <-stop:
			return nil
		case <-time.After(time.Duration(rand.IntN(70)) * time.Millisecond):
		}
	}
}
