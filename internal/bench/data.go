package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// set is a folder that is backed up, and what is in it.
type set struct {
	Name  string
	Files int64
	Bytes int64
	dir   string // absolute
}

// generation is the number that a change of the data sets raises, so that an
// older folder of them is made anew.
const generation = 3

// builders make the data sets; each writes the same bytes on each machine, but
// for the Go sources and /usr/share/doc, which are copied from this one.
var builders = map[string]func(dir string) error{"data": buildData, "small": buildSmall}

// buildSet returns the data set of that name below root, made if it is not there.
func buildSet(root, name string) (set, error) {
	s := set{Name: name, dir: filepath.Join(root, "sets", name)}
	stamp := filepath.Join(root, "sets", fmt.Sprintf("%s.%d.json", name, generation))
	if text, err := os.ReadFile(stamp); err == nil {
		return s, json.Unmarshal(text, &s)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return s, err
	}
	if err := builders[name](s.dir); err != nil {
		return s, fmt.Errorf("making the data set %s: %w", name, err)
	}
	var err error
	if s.Files, s.Bytes, err = count(s.dir); err != nil {
		return s, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	return s, os.WriteFile(stamp, text, 0o666)
}

// count returns the number and the bytes of the regular files below dir.
func count(dir string) (files, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}

// buildData makes some years of a person's folder: 400 photos of 2 to 6 MB in 8 albums, one
// of the albums once more under another name, 4 videos of 60 MB, a document of 1 MB, the
// sources of Go, and /usr/share/doc. Photos, videos and the document are noise, as what is
// compressed already looks.
func buildData(dir string) error {
	noise := rand.NewChaCha8([32]byte{1})
	sizes := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		path := filepath.Join(dir, "photos", fmt.Sprintf("album%d", i%8), fmt.Sprintf("IMG_%04d.jpg", i))
		if err := writeFile(path, io.LimitReader(noise, 2_000_000+sizes.Int64N(4_000_001)), i); err != nil {
			return err
		}
	}
	for i := range 4 {
		if err := writeFile(filepath.Join(dir, "videos", fmt.Sprintf("MOV_%d.mp4", i)), io.LimitReader(noise, 60_000_000), i); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, oneFile), io.LimitReader(noise, 1_000_000), 0); err != nil {
		return err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("asking go for its folder: %w", err)
	}
	copies := [][2]string{
		{filepath.Join(dir, "photos", "album3"), filepath.Join(dir, "best of")},
		{filepath.Join(strings.TrimSpace(string(goroot)), "src"), filepath.Join(dir, "go")},
		{"/usr/share/doc", filepath.Join(dir, "doc")},
	}
	for _, c := range copies {
		if err := copyTree(c[0], c[1]); err != nil {
			return err
		}
	}
	return nil
}

// oneFile is the path of the file of 1 MB that is restored alone out of data.
const oneFile = "documents/contract.pdf"

// buildSmall makes 300,000 text files of 0.1 to 4 KB in 600 folders.
func buildSmall(dir string) error {
	text := newProse(7)
	for i := range 300_000 {
		path := filepath.Join(dir, fmt.Sprintf("folder%03d", i%600), fmt.Sprintf("note%06d.txt", i))
		if err := writeFile(path, text.file(), i); err != nil {
			return err
		}
	}
	return nil
}

// prose writes text of made-up words, of which some are frequent and most are rare.
type prose struct {
	words []string
	rnd   *rand.Rand
	zipf  *rand.Zipf
}

func newProse(seed uint64) *prose {
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := &prose{words: make([]string, 20_000), rnd: rnd, zipf: rand.NewZipf(rnd, 1.2, 8, 19_999)}
	for i := range p.words {
		var b strings.Builder
		for range 1 + rnd.IntN(4) {
			b.WriteByte("bcdfghjklmnprstvwz"[rnd.IntN(18)])
			b.WriteByte("aeiouy"[rnd.IntN(6)])
		}
		p.words[i] = b.String()
	}
	return p
}

// file returns 0.1 to 4 KB of text.
func (p *prose) file() io.Reader {
	size := 100 + p.rnd.IntN(3901)
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(p.words[p.zipf.Uint64()])
		b.WriteByte(" \n"[p.rnd.IntN(12)/11])
	}
	return strings.NewReader(b.String()[:size])
}

// writeFile writes a file of the i-th minute of 2025, with the folders above it.
func writeFile(path string, content io.Reader, i int) (err error) {
	f, err := os.Create(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		f, err = os.Create(path)
	}
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	_, err = io.Copy(w, content)
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return err
	}
	t := time.Date(2025, 1, 1, 0, i, 0, 0, time.UTC)
	return os.Chtimes(path, t, t)
}

// copyTree copies folders, regular files and symlinks; a link that leads to
// another part of the system is copied as the link that it is.
func copyTree(from, to string) error {
	n := 0
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o777)
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !d.Type().IsRegular():
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		n++
		return writeFile(target, f, n)
	})
}
