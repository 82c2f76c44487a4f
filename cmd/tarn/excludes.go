package main

import (
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/scan"
)

// ignoreFile is the name of the files that say what of their folder is left out.
const ignoreFile = ".tarnignore"

// The options of a snapshot from which a restore knows what the backup left out.
const (
	optionExclude   = "exclude" // the patterns in force, also those of files, one a line
	optionIfPresent = "exclude-if-present"
	optionCaches    = "exclude-caches"
	optionOneSystem = "one-file-system"
)

// recordExcludes notes in the options of a snapshot what a source leaves out.
func recordExcludes(options map[string]string, c scan.Config) {
	set := func(name string, lines []string) {
		if len(lines) > 0 {
			options[name] = joinPatterns(lines)
		}
	}
	set(optionExclude, c.Excludes)
	set(optionIfPresent, c.ExcludeIfPresent)
	if c.ExcludeCaches {
		options[optionCaches] = "true"
	}
	if c.OneFileSystem {
		options[optionOneSystem] = "true"
	}
}

// joinPatterns joins patterns with newlines. What can't stand in a line of
// JSON, a newline and bytes that are not text, becomes the wildcard for one byte.
func joinPatterns(patterns []string) string {
	var b strings.Builder
	for i, p := range patterns {
		if i > 0 {
			b.WriteByte('\n')
		}
		for len(p) > 0 {
			r, n := utf8.DecodeRuneInString(p)
			if r == '\n' || r == utf8.RuneError && n == 1 {
				b.WriteByte('?')
			} else {
				b.WriteString(p[:n])
			}
			p = p[n:]
		}
	}
	return b.String()
}

// excluders say for each source of a snapshot what --delete spares: what the
// backup left out, unless that goes, too, and in any case what belongs to tarn.
func (g *globals) excluders(o *opened, s *repo.Snapshot, target string, deleteExcluded bool) (map[string]restore.Excluder, error) {
	target, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	sources := make([]scan.Config, len(s.Sources))
	for i, src := range s.Sources {
		sources[i] = scan.Config{Path: filepath.Join(target, filepath.FromSlash(src.Name)), Name: src.Name, IgnoreFile: ignoreFile}
		if deleteExcluded {
			continue
		}
		sources[i].Excludes = recorded(s, optionExclude)
		sources[i].ExcludeIfPresent = recorded(s, optionIfPresent)
		sources[i].ExcludeCaches = s.Options[optionCaches] != ""
	}
	g.leaveOut(o.dirs, o.location, sources)
	list := map[string]restore.Excluder{}
	for _, c := range sources {
		if deleteExcluded {
			list[c.Name] = scan.PatternExcluder(c.Excludes)
		} else {
			list[c.Name] = scan.NewExcluder(c)
		}
	}
	return list, nil
}

func recorded(s *repo.Snapshot, option string) []string {
	if s.Options[option] == "" {
		return nil
	}
	return strings.Split(s.Options[option], "\n")
}
