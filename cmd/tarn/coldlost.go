package main

import (
	"fmt"

	"github.com/tarn-backup/tarn/internal/restore"
)

// showLost names the archives of which nothing can be read any more, with what
// that costs of what is wanted. No price that is shown afterwards counts them.
func (g *globals) showLost(v *coldView, lost []restore.Need) error {
	for _, n := range lost {
		obj := v.byID[n.Archive]
		if g.json {
			if err := g.printJSON(map[string]any{"type": "lost", "archive": n.Archive, "key": obj.Key, "state": obj.State, "files": n.Files, "bytes": n.Bytes}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(g.stderr, "tarn: %s: %s can't be got back from it\n", printableError(v.lostError(n.Archive)), formatCount(n.Files, "file", "files"))
	}
	if len(lost) > 0 && !g.json {
		fmt.Fprintf(g.stderr, "      `tarn check` says what else that costs; the next `tarn backup` of sources that still have the files stores them again.\n")
	}
	return nil
}

// notLost takes the files of lost archives off those that are wanted.
func notLost(lost []restore.Need, files, bytes int64) (int64, int64) {
	for _, n := range lost {
		files, bytes = files-n.Files, bytes-n.Bytes
	}
	return max(files, 0), max(bytes, 0)
}
