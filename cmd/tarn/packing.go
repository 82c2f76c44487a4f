package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// packing are the flags that say how files go into archives.
type packing struct {
	splitDepth  int
	archiveSize string
}

func (p *packing) register(fl *pflag.FlagSet) {
	fl.IntVar(&p.splitDepth, "split-depth", 1, "depth of the directories that get archives of their own")
	fl.StringVar(&p.archiveSize, "archive-size", "512MiB", "size at which an archive is cut; the last one of a folder takes up to a quarter more")
}

// size checks the flags, and returns the size at which an archive is cut.
func (p *packing) size() (int64, error) {
	if p.splitDepth < 0 {
		return 0, fmt.Errorf("--split-depth %d: want 0 or more", p.splitDepth)
	}
	n, err := parseBytes(p.archiveSize)
	if err != nil {
		return 0, fmt.Errorf("--archive-size: %w", err)
	}
	return n, nil
}
