package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// tarballPlace is where a backup in the script's layout lies: what all of the
// tarball commands are told.
type tarballPlace struct {
	bucket, name string
}

func newTarball(g *globals) *cobra.Command {
	var at tarballPlace
	var f tarballFlags
	cmd := &cobra.Command{
		Use:   "tarball -b BUCKET -n NAME -p PATH",
		Short: "Back up as one tar.gz per folder, in place of the shell script",
		Long: `tarball does what the script aws-s3-personal-backup does, with its flags, in its layout, on the buckets that it made: each archive
is one tar.gz of a folder, which is uploaded again, whole, when a file in it has changed. Beside it lie the hash over its files
(.md5) and their names (.txt). After the script there is nothing to upload for tarball, and after tarball nothing for the script.
A single file is uploaded as it is.

Archives have folders, links, modes and times, too, which do not count as changes. A file that changes while it is archived is
listed, and its archive is made again by the next run. What may not be read is left out and listed; but an archive that has it stays,
unless you say --without-unreadable, and so it does if anything else goes wrong with a folder.

$RECYCLE.BIN, .Trash-1000 and System Volume Information are skipped above the split depth, as the script skips them.
The commands below read such backups.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.tarball(cmd.Context(), &at, &f) },
	}
	f.add(cmd)
	pf := cmd.PersistentFlags()
	pf.StringVarP(&at.bucket, "bucket", "b", "", "bucket of the backup, as BUCKET or s3://BUCKET")
	pf.StringVarP(&at.name, "name", "n", "", "name of the backup, which its keys in the bucket begin with")
	cmd.AddCommand(tarballReaders(g, &at)...)
	return cmd
}

// check completes the place, and refuses one that is not named well. Commands
// that work on all backups of a bucket need no name.
func (t *tarballPlace) check(needName bool) error {
	t.bucket = strings.TrimSuffix(strings.TrimPrefix(t.bucket, schemeS3), "/")
	t.name = strings.TrimRight(t.name, "/")
	switch {
	case t.bucket == "":
		return hinted{errors.New("no bucket is named"), "Name it with -b BUCKET."}
	case t.name == "" && needName:
		return hinted{errors.New("the backup is not named"), "Name it with -n NAME; its keys in the bucket begin with NAME/."}
	case t.name == "":
		return checkBucket(t.bucket)
	}
	return errors.Join(checkBucket(t.bucket), tarball.CheckName(t.name))
}

// tarballs opens the bucket of a backup. Keys in it begin with the backup's name.
func (g *globals) tarballs(ctx context.Context, at *tarballPlace, needName bool) (storage.Storage, error) {
	if g.repo != "" && g.repo != g.getenv("TARN_REPO") {
		return nil, hinted{fmt.Errorf("--repo %s: these backups lie in no repository", g.repo), "Name the bucket with -b BUCKET, and the backup with -n NAME."}
	}
	if err := at.check(needName); err != nil {
		return nil, err
	}
	return g.storage(ctx, schemeS3+at.bucket, false)
}
