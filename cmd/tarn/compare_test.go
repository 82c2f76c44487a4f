package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// compareTrees lists how the folder b differs from a, in everything that a
// stat and a reading tell; nothing if it does not.
func compareTrees(a, b string) ([]string, error) {
	x, err := readTree(a)
	if err != nil {
		return nil, err
	}
	y, err := readTree(b)
	if err != nil {
		return nil, err
	}
	var diff []string
	for path, want := range x {
		if got := y[path]; got != want {
			diff = append(diff, fmt.Sprintf("%q: %q, want %q", path, got, want))
		}
	}
	for path := range y {
		if _, ok := x[path]; !ok {
			diff = append(diff, fmt.Sprintf("%q: too much", path))
		}
	}
	slices.Sort(diff)
	return diff, nil
}

// readTree describes each entry at and below dir, by its path from there.
func readTree(dir string) (map[string]string, error) {
	tree := map[string]string{}
	links := map[any]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%v %s", info.Mode(), statText(info))
		if info.Mode().Type() != fs.ModeSymlink {
			text += fmt.Sprintf(" %d.%09d", info.ModTime().Unix(), info.ModTime().Nanosecond())
		}
		switch {
		case info.Mode().Type() == fs.ModeSymlink:
			to, err := os.Readlink(path)
			tree[rel] = text + " -> " + to
			return err
		case info.Mode().IsRegular():
			if first, ok := links[inode(info)]; ok && inode(info) != nil {
				text += " = " + first
			}
			links[inode(info)] = rel
			sum, err := hashFile(path)
			tree[rel] = fmt.Sprintf("%s %d %s", text, info.Size(), sum)
			return err
		}
		tree[rel] = text
		return nil
	})
	return tree, err
}

func hashFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return fmt.Sprintf("%x", sha256.Sum256(b)), err
}
