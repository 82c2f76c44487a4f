package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

func newLs(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls SNAPSHOT [PATH]...",
		Short: "List the files of a snapshot",
		Long: `ls lists the entries of a snapshot, or those at and below PATH. SNAPSHOT is an id, the unique beginning of one, latest, or latest~1.
With --json it prints the tree's own lines (docs/format.md).` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
			var u unread
			for e, err := range o.Entries(ctx, s, paths) {
				if err != nil {
					if err := u.trees.add(err.Error(), err); err != nil {
						return err
					}
					continue
				}
				if err := g.printEntry(e); err != nil {
					return err
				}
			}
			return u.done(g)
		})
	}
	return cmd
}

// printEntry prints an entry like `ls -l`, or its line of the tree.
func (g *globals) printEntry(e *tarn.Entry) error {
	if g.json {
		_, err := g.stdout.Write(repo.AppendEntry(nil, e))
		return err
	}
	user, group := e.User, e.Group
	if user == "" {
		user = strconv.Itoa(int(e.UID))
	}
	if group == "" {
		group = strconv.Itoa(int(e.GID))
	}
	size := strconv.FormatInt(e.Size, 10)
	if e.Type == tarn.TypeChar || e.Type == tarn.TypeBlock {
		size = fmt.Sprintf("%d,%d", e.Major, e.Minor)
	}
	name := printable(e.Path)
	if e.Type == tarn.TypeSymlink {
		name += " -> " + printable(e.Target)
	}
	_, err := fmt.Fprintf(g.stdout, "%s %-8s %-8s %12s %s %s\n", modeText(e), user, group, size, formatTime(e.MTime.Time()), name)
	return err
}

// modeText writes type and mode as ls does.
func modeText(e *tarn.Entry) string {
	letters := map[tarn.Type]byte{
		tarn.TypeFile: '-', tarn.TypeDir: 'd', tarn.TypeSymlink: 'l', tarn.TypeFIFO: 'p', tarn.TypeSocket: 's', tarn.TypeChar: 'c', tarn.TypeBlock: 'b',
	}
	b := []byte{letters[e.Type]}
	for i := 8; i >= 0; i-- {
		c := byte('-')
		if e.Mode>>i&1 == 1 {
			c = "xwr"[i%3]
		}
		b = append(b, c)
	}
	for i, special := range []struct {
		bit   uint32
		plain byte
	}{{04000, 's'}, {02000, 's'}, {01000, 't'}} {
		if at := 3 + 3*i; e.Mode&special.bit != 0 {
			if b[at] == 'x' {
				b[at] = special.plain
			} else {
				b[at] = special.plain - 32
			}
		}
	}
	return string(b)
}
