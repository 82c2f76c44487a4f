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
	cmd := &cobra.Command{
		Use:   "tarball -b BUCKET -n NAME -p PATH",
		Short: "Back up as one tar.gz per folder, in place of the script",
		Args:  cobra.NoArgs,
	}
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
