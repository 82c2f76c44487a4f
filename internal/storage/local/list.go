package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/storage"
)

// List implements storage.Storage. It holds the names of one folder and of
// those above it in memory, never more.
func (s *Storage) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		dir, base := "", prefix
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir, base = prefix[:i], prefix[i+1:]
		}
		if strings.HasPrefix(prefix, "/") {
			return // no key starts so
		}
		if dir != "" {
			if _, err := s.path(dir); err != nil {
				yield(storage.Object{}, fmt.Errorf("listing %s: %w", prefix, err))
				return
			}
			dir += "/"
		}
		l := lister{ctx: ctx, root: s.root, yield: yield}
		l.list(dir, base)
	}
}

type lister struct {
	ctx   context.Context
	root  string
	yield func(storage.Object, error) bool
}

// list yields the objects below dir, which is "" or ends in a slash, whose
// key goes on with prefix. It returns false when the caller has enough.
func (l *lister) list(dir, prefix string) bool {
	names, err := l.names(dir, prefix)
	if err != nil {
		return l.fail(dir, err)
	}
	for _, name := range names {
		if err := l.ctx.Err(); err != nil {
			return l.fail(dir, err)
		}
		if strings.HasSuffix(name, "/") {
			if !l.list(dir+name, "") {
				return false
			}
			continue
		}
		info, err := os.Lstat(filepath.Join(l.root, filepath.FromSlash(dir+name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the folder was read
		}
		if err != nil {
			return l.fail(dir+name, err)
		}
		if !l.yield(object(dir+name, info), nil) {
			return false
		}
	}
	return true
}

// fail ends the listing: what follows would have a gap in it.
func (l *lister) fail(key string, err error) bool {
	l.yield(storage.Object{}, fmt.Errorf("listing %s: %w", filepath.Join(l.root, filepath.FromSlash(key)), err))
	return false
}

// names returns what is in a folder, folders with a slash at their end. In
// the order of these names the keys come sorted: "a.b" before "a/b".
func (l *lister) names(dir, prefix string) ([]string, error) {
	names, err := readNames(filepath.Join(l.root, filepath.FromSlash(dir)), prefix)
	if dir != "" && errors.Is(absent(err), fs.ErrNotExist) {
		return nil, nil // no such prefix
	}
	slices.Sort(names)
	return names, err
}

func readNames(dir, prefix string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	var names []string
	for {
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			name := e.Name()
			switch {
			case durable.IsTemp(name):
				continue
			case e.IsDir():
				name += "/"
			case !e.Type().IsRegular():
				continue
			}
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
