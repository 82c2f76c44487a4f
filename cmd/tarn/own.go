package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/scan"
)

// leaveOut keeps what tarn itself writes while it runs out of the sources: a
// repository that was backed up into itself would grow with each run, and the
// cache is a copy of what the repository has.
func (g *globals) leaveOut(dirs machine.Dirs, location string, sources []scan.Config) {
	for _, own := range []string{location, dirs.Cache} {
		if inS3(own) {
			continue
		}
		for i := range sources {
			pattern := patternBelow(sources[i].Path, own)
			if pattern == "" {
				continue
			}
			g.log.Info("leaving out what belongs to tarn", "path", own)
			sources[i].Excludes = append(sources[i].Excludes[:len(sources[i].Excludes):len(sources[i].Excludes)], pattern)
		}
	}
}

// notOwn refuses a source that is the repository or lies in it: each run would
// store what the one before has written.
func notOwn(location string, sources []scan.Config) error {
	if inS3(location) {
		return nil
	}
	for _, s := range sources {
		rel, err := filepath.Rel(resolved(location), resolved(s.Path))
		if err == nil && filepath.IsLocal(rel) {
			return hinted{fmt.Errorf("source %s lies in the repository %s", s.Path, location), "Back up other folders, or into another repository (--repo, TARN_REPO)."}
		}
	}
	return nil
}

// patternBelow returns the exclude pattern that matches just the folder inside
// of the source; "" if it does not lie there.
func patternBelow(source, folder string) string {
	rel, err := filepath.Rel(resolved(source), resolved(folder))
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return ""
	}
	var b strings.Builder
	b.WriteByte('/')
	for _, c := range []byte(filepath.ToSlash(rel)) {
		if strings.IndexByte(`*?[]\ `, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// resolved follows links as far as the path exists.
func resolved(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}
