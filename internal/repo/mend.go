package repo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// KeysCopies is how many copies of the keys object in force there are to be:
// one damaged byte shall lock nobody out.
const KeysCopies = 2

// putKeys stores a keys object and its copies, under ids of one time. They
// never outrank a later change, which is later by a second at least.
func putKeys(ctx context.Context, s storage.Storage, key Key, k keysObject) error {
	for n := range KeysCopies {
		if n > 0 {
			k = k.twin()
		}
		data, err := sealKeys(key, &k)
		if err == nil {
			err = putWhole(ctx, s, keysKey(k.ID), data)
		}
		switch {
		case err != nil && n == 0:
			return err
		case err != nil:
			return fmt.Errorf("storing a second copy of the keys (the first holds; `tarn rebuild` stores the second): %w", err)
		}
	}
	return nil
}

// twin is the same object under another id of the same time.
func (k keysObject) twin() keysObject {
	var random [8]byte
	rand.Read(random[:])
	k.ID = tarn.KeysID(tarn.FormatID(k.ID.Time(), random))
	return k
}

func putWhole(ctx context.Context, s storage.Storage, key string, data []byte) error {
	_, err := s.Put(ctx, key, bytes.NewReader(data), storage.PutOptions{MaxSize: int64(len(data))})
	return err
}

// ErrConfigStays says that tarn.json is damaged or not authentic, and stands in
// its own way: nothing is ever overwritten.
var ErrConfigStays = errors.New("the damaged " + configName + " is still there, and no object is ever overwritten")

// Mend stores again what is lost of tarn.json and of the copies of the keys
// object in force, and returns the names of what it stored. It needs no
// identity. A tarn.json that has to be moved away first is ErrConfigStays. No
// other method may run beside it.
func (r *Repo) Mend(ctx context.Context) (stored []string, err error) {
	if r.lost != nil {
		err := putWhole(ctx, r.storage, configName, []byte(r.config))
		switch {
		case errors.Is(err, fs.ErrExist) && r.CheckConfig(ctx) != nil:
			return nil, ErrConfigStays
		case err != nil && !errors.Is(err, fs.ErrExist):
			return nil, err
		}
		r.lost = nil
		stored = append(stored, configName)
	}
	k, n, err := r.wholeKeys(ctx)
	if err != nil {
		return stored, err
	}
	for ; n < KeysCopies; n++ {
		k = k.twin()
		data, err := sealKeys(r.key, &k)
		if err == nil {
			err = putWhole(ctx, r.storage, keysKey(k.ID), data)
		}
		if err != nil {
			return stored, err
		}
		stored = append(stored, keysKey(k.ID))
	}
	return stored, nil
}

// wholeKeys returns the keys object in force, and how many whole copies of it
// there are. Damaged ones were warned of when the repository was opened.
func (r *Repo) wholeKeys(ctx context.Context) (k keysObject, n int, err error) {
	all, err := r.listKeys(ctx)
	if err != nil {
		return k, 0, err
	}
	for _, id := range all {
		inForce, err := r.CheckKeys(ctx, id)
		switch {
		case inForce:
			n++
		case errors.Is(err, ErrConfigChanged): // which opening an unencrypted one doesn't see
			return k, 0, ErrConfigStays
		case err != nil && !Worthless(err) && !Unverified(err):
			return k, 0, err
		}
	}
	if r.keys != nil {
		return r.keys.keysObject, n, nil
	}
	k, err = makeKeys(keysObject{Repository: r.Config.ID, Config: r.config}, r.key, nil, nil, r.now())
	return k, n, err
}
