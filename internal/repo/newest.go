package repo

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
)

// skew is how far the clocks of honest machines may be apart.
const skew = 5 * time.Minute

// Newest returns, of the ids of snapshots, oldest first, the one that the ids
// of a new run have to sort after; "" if there is none. Anybody who can write to
// the storage can make up the name of a snapshot, and one from the far future
// shall set no clock: an id counts if its snapshot is authentic. One that
// this machine can't verify, for want of an identity or since it lies in a cold class,
// counts if it is not from the future.
func (r *Repo) Newest(ctx context.Context, ids []tarn.SnapshotID) (tarn.SnapshotID, error) {
	limit := r.now().Add(skew)
	for _, id := range slices.Backward(ids) {
		_, err := r.Snapshot(ctx, id)
		switch {
		case err == nil, Unverified(err) && !id.Time().After(limit):
			return id, nil
		case !Unverified(err) && !Worthless(err):
			return "", err
		}
	}
	return "", nil
}

// Unverified reports whether an error of reading an object says that this
// machine can't tell now whether it is authentic.
func Unverified(err error) bool {
	return errors.Is(err, tarn.ErrNoIdentity) || errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing)
}

// Worthless reports whether an error of reading an object says that it is not
// authentic, damaged or gone: nobody will ever read it.
func Worthless(err error) bool {
	return errors.Is(err, tarn.ErrNotAuthentic) || errors.Is(err, tarn.ErrDamaged) || errors.Is(err, fs.ErrNotExist)
}
