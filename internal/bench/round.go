package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// action is what is measured.
type action string

const (
	first   action = "first"
	again   action = "again"
	restore action = "restore"
	one     action = "one file"
	toS3    action = "s3"
)

type key struct {
	tool, set string
	action    action
}

// bench is all that was measured so far.
type bench struct {
	options
	tools            []tool
	sets             []set
	server           server
	absent, versions []string

	results  map[key][]measure // one of each round
	stored   map[key]int64     // bytes, of the last round
	requests map[key]int       // of one backup to S3
	oneFile  struct{ bytes, requests int64 }

	done  map[string]bool // rounds of a tool that are whole
	dates []string        // of them
}

// round lets each tool do each thing once.
func (b *bench) round(ctx context.Context, s set, round int) error {
	if err := warm(ctx, s.dir); err != nil {
		return err
	}
	for _, t := range b.tools {
		name := fmt.Sprintf("%s %d %s", s.Name, round, t.name)
		if b.done[name] {
			continue
		}
		home := filepath.Join(b.dir, "home", strings.Fields(t.name)[0])
		if err := b.local(ctx, t, s, home); err != nil {
			return err
		}
		if b.s3 && t.s3Backup != nil {
			if err := b.remote(ctx, t, s, home, round); err != nil {
				return err
			}
		}
		if err := b.discard(home); err != nil {
			return err
		}
		if err := b.save(name); err != nil {
			return err
		}
	}
	return nil
}

// discard puts a folder away and gives its space back, but keeps its files:
// for minutes ext4 goes around each inode that was just freed when it looks for
// a free one, which makes the creation of files after a deletion of many up to
// ten times slower, for whichever tool comes next. They go when all is measured.
func (b *bench) discard(dir string) error {
	trash := filepath.Join(b.dir, "trash")
	if err := os.MkdirAll(trash, 0o777); err != nil {
		return err
	}
	away, err := os.MkdirTemp(trash, "")
	if err != nil {
		return err
	}
	away = filepath.Join(away, filepath.Base(dir))
	if err := os.Rename(dir, away); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return filepath.WalkDir(away, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() < 64<<10 {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 0)
	})
}

// begin waits until it is this program's turn and the disk has settled.
func (b *bench) begin(ctx context.Context) (func(), error) {
	done, err := turn(b.turns)
	if err != nil {
		return nil, err
	}
	if err := settle(ctx); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// timed runs a command after the disk has settled, and notes what it took.
func (b *bench) timed(ctx context.Context, t tool, s set, a action, home string, c command) (string, error) {
	done, err := b.begin(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	if t.env != nil {
		c.env = append(c.env, t.env(home)...)
	}
	out, m, err := c.run(ctx)
	if err != nil {
		return "", err
	}
	k := key{t.name, s.Name, a}
	b.results[k] = append(b.results[k], m)
	fmt.Fprintf(os.Stderr, "%-6s %-9s %-14s %7.2f s  %7.2f s CPU  %4d MB\n", s.Name, a, t.name, m.Seconds, m.CPU, m.Memory>>20)
	return out, nil
}

// local backs up into a folder, again, and restores.
func (b *bench) local(ctx context.Context, t tool, s set, home string) error {
	if err := b.fresh(ctx, t, home, t.init); err != nil {
		return err
	}
	if t.backup != nil {
		if _, err := b.timed(ctx, t, s, first, home, t.backup(home, s.dir)); err != nil {
			return err
		}
		var err error
		if _, b.stored[key{t.name, s.Name, first}], err = count(filepath.Join(home, t.repo)); err != nil {
			return err
		}
	}
	next := t.again
	if next == nil && t.keeps {
		next = t.backup
	}
	if next != nil {
		if _, err := b.timed(ctx, t, s, again, home, next(home, s.dir)); err != nil {
			return err
		}
	}
	if t.restore == nil {
		return nil
	}
	target := filepath.Join(home, "target")
	if err := os.Mkdir(target, 0o777); err != nil {
		return err
	}
	// A tool that writes past the page cache has its repository there as the others have.
	if err := warm(ctx, filepath.Join(home, t.repo)); err != nil {
		return err
	}
	if _, err := b.timed(ctx, t, s, restore, home, t.restore(home, target)); err != nil {
		return err
	}
	if err := complete(t, s, target); err != nil {
		return err
	}
	return b.single(ctx, t, s, home)
}

// complete returns an error if a restore did not bring everything back.
func complete(t tool, s set, target string) error {
	files, bytes, err := count(target)
	if err == nil && (files != s.Files || bytes != s.Bytes) {
		err = fmt.Errorf("%s restored %d files and %d bytes of %s, which has %d and %d", t.name, files, bytes, s.Name, s.Files, s.Bytes)
	}
	return err
}

// single restores the file of 1 MB out of data by tarn.
func (b *bench) single(ctx context.Context, t tool, s set, home string) error {
	if t.name != "tarn" || s.Name != "data" {
		return nil
	}
	c := t.restore(home, filepath.Join(home, "single"))
	c.args = append(c.args, filepath.Join(filepath.Base(s.dir), oneFile), "--json")
	out, err := b.timed(ctx, t, s, one, home, c)
	if err != nil {
		return err
	}
	b.oneFile.bytes, b.oneFile.requests, err = fetched(out)
	return err
}

// remote backs up to S3; in the first round once more through a proxy that counts.
func (b *bench) remote(ctx context.Context, t tool, s set, home string, round int) error {
	if err := b.toServer(ctx, t, s, home, b.server, nil); err != nil {
		return err
	}
	if round > 0 {
		return nil
	}
	proxied, requests, err := b.server.counted()
	if err != nil {
		return err
	}
	defer proxied.stop()
	// What it takes to make the repository is not counted.
	if err := b.toServer(ctx, t, s, home, proxied, func() { requests() }); err != nil {
		return err
	}
	b.requests[key{t.name, s.Name, toS3}] = requests()
	return nil
}

// toServer backs up to S3; with begin, which is called when the repository is there, the run is not timed.
func (b *bench) toServer(ctx context.Context, t tool, s set, home string, to server, begin func()) error {
	if err := b.discard(filepath.Join(to.root, to.bucketName(home))); err != nil {
		return err
	}
	if err := b.fresh(ctx, t, home, func(home string) []command { return t.s3Init(home, to) }); err != nil {
		return err
	}
	c := t.s3Backup(home, s.dir, to)
	if begin == nil {
		_, err := b.timed(ctx, t, s, toS3, home, c)
		return err
	}
	if t.env != nil {
		c.env = append(c.env, t.env(home)...)
	}
	done, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	begin()
	_, _, err = c.run(ctx)
	return err
}

// fresh makes home anew, with an empty repository.
func (b *bench) fresh(ctx context.Context, t tool, home string, init func(string) []command) error {
	if err := b.discard(home); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o777); err != nil {
		return err
	}
	if init == nil {
		return nil
	}
	for _, c := range init(home) {
		if t.env != nil {
			c.env = append(c.env, t.env(home)...)
		}
		if _, _, err := c.run(ctx); err != nil {
			return err
		}
	}
	return nil
}
