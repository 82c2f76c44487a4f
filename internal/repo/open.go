package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// ErrConfigLost says that tarn.json is missing, damaged or not authentic where
// there are objects of a repository. Mend may write it again.
var ErrConfigLost = errors.New(configName + " is lost")

// ErrNoCopy says that tarn.json is lost, and that nothing in the storage has a
// copy of it.
var ErrNoCopy = fmt.Errorf("%w, and nothing there has a copy of it", ErrConfigLost)

// ErrReplaced says that there is another repository than the one that this
// machine knows at that place.
var ErrReplaced = fmt.Errorf("another repository: %w", tarn.ErrNotAuthentic)

// ErrNoRepository says that there is no repository, nor what is left of one.
var ErrNoRepository = fmt.Errorf("no repository there: %w", fs.ErrNotExist)

// Open opens the repository in s. One that is not there is ErrNoRepository;
// tarn.ErrNoIdentity means that an identity is needed and none fits. One whose
// tarn.json is lost opens by the copy in its keys objects, and can only be read:
// see Writable.
func Open(ctx context.Context, s storage.Storage, opts Options) (*Repo, error) {
	identities := opts.Identities
	opts.Identities = sync.OnceValues(func() ([]age.Identity, error) {
		if identities == nil {
			return nil, nil
		}
		list, err := identities()
		if err != nil {
			err = &identityError{err}
		}
		return list, err
	})
	opts.warned = new(sync.Map)
	opts.UI = opts.UI.once()
	data, err := readSmall(ctx, s, configName, maxConfig)
	if err == nil {
		var r *Repo
		if r, err = openAs(ctx, s, data, opts); err == nil {
			return r, nil
		}
	}
	if !foundLost(err) {
		return nil, err
	}
	return openLost(ctx, s, opts, err)
}

// identityError is an error of the identities at hand, such as of a file that
// is not there. It says nothing about the repository.
type identityError struct{ error }

// Unwrap returns the cause.
func (e *identityError) Unwrap() error { return e.error }

// foundLost reports whether an error of opening says that the repository has
// lost something. A greater format in tarn.json than in its copies is damage, too.
func foundLost(err error) bool {
	return Worthless(err) && !errors.As(err, new(*identityError)) || errors.Is(err, errNewer)
}

// openAs opens the repository by the text of its tarn.json, and refuses one
// that is not what this machine or the keys objects know.
func openAs(ctx context.Context, s storage.Storage, data []byte, opts Options) (*Repo, error) {
	cfg, err := ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", configName, s.Location(), err)
	}
	r := newRepo(s, cfg, data, opts)
	if k := opts.Known; k != nil && (k.ID != cfg.ID || k.Key.IsZero() == r.Encrypted() || r.Encrypted() && k.Key.Fingerprint() != cfg.Key) {
		return nil, fmt.Errorf("%s is not the repository that this machine knows there (id %.8s, now %.8s): %w", s.Location(), k.ID, cfg.ID, ErrReplaced)
	}
	if f := opts.Fingerprint; f != nil {
		// Also if it says that it is not encrypted: whoever can write to the
		// storage can say so.
		if want := f(cfg.ID); want != "" && want != cfg.Key {
			return nil, fmt.Errorf("%s does not have the key that the identity file names: %w", s.Location(), tarn.ErrNotAuthentic)
		}
	}
	if !r.Encrypted() {
		return r, nil
	}
	if err := r.unlock(ctx, opts); err != nil {
		return nil, err
	}
	return r, nil
}

// openLost opens a repository by the copy of tarn.json in an authentic keys
// object; the cause is what is wrong with the original, or with all keys.
func openLost(ctx context.Context, s storage.Storage, opts Options, cause error) (*Repo, error) {
	found, lacking, err := openByKeys(ctx, s, opts)
	if named := opts.named(found); len(named) > 0 {
		found = named // what a stranger has put beside is no doubt
	}
	switch {
	case err != nil:
		return nil, err
	case len(found) == 1:
		return found[0].readOnly(cause), nil
	case len(found) > 1:
		// The machine knows none of them: it may be shown a stranger's.
		return nil, fmt.Errorf("opening %s: %w: keys/ holds those of several repositories (%.8s, %.8s): %w",
			s.Location(), cause, found[0].Config.ID, found[1].Config.ID, tarn.ErrNotAuthentic)
	case !errors.Is(cause, fs.ErrNotExist):
		return nil, errors.Join(cause, lacking)
	case lacking != nil:
		return nil, fmt.Errorf("%s of %s is lost, and its copy in keys/ can't be verified: %w", configName, s.Location(), lacking)
	}
	left, err := leftover(ctx, s, contentPrefixes)
	if err != nil {
		return nil, err
	}
	if left == "" {
		return nil, fmt.Errorf("opening %s: %w", s.Location(), ErrNoRepository)
	}
	return nil, fmt.Errorf("opening %s, which holds %s: %w", s.Location(), left, ErrNoCopy)
}

// openByKeys opens the repository by each copy of tarn.json in the keys objects
// that verifies; lacking is what an identity is missing for.
func openByKeys(ctx context.Context, s storage.Storage, opts Options) (found []*Repo, lacking, err error) {
	probe := newRepo(s, Config{}, nil, opts)
	all, err := probe.listKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	tried := map[string]bool{}
	for _, id := range slices.Backward(all) {
		k, err := probe.loadKeys(ctx, id)
		if err != nil {
			return nil, nil, err
		} else if k == nil || tried[digest([]byte(k.Config))] {
			continue
		}
		tried[digest([]byte(k.Config))] = true
		r, err := openAs(ctx, s, []byte(k.Config), opts)
		switch {
		case err == nil:
			found = append(found, r)
		case errors.Is(err, tarn.ErrNoIdentity):
			lacking = err
		case !foundLost(err):
			return nil, nil, err
		}
	}
	return found, lacking, nil
}

// named returns the repositories whose key the identity file names.
func (o *Options) named(list []*Repo) (named []*Repo) {
	for _, r := range list {
		if o.Fingerprint != nil && r.Encrypted() && o.Fingerprint(r.Config.ID) == r.Config.Key {
			named = append(named, r)
		}
	}
	return named
}

// readOnly marks a repository that was opened without its tarn.json.
func (r *Repo) readOnly(cause error) *Repo {
	r.lost = cause
	what := "damaged"
	if errors.Is(cause, fs.ErrNotExist) {
		what = "missing"
	} else if errors.Is(cause, tarn.ErrNotAuthentic) {
		what = "not the one that was made with the repository"
	}
	r.log.Warn(configName+" is "+what+": reading with the copy of it in keys/, and writing nothing (`tarn rebuild` mends it)", "repository", r.Config.ID)
	return r
}

// Writable is an error of ErrConfigLost if nothing may be written to the
// repository, since its tarn.json is lost and Mend has not written it again.
func (r *Repo) Writable() error {
	if r.lost == nil {
		return nil
	}
	return fmt.Errorf("writing to %s: %w", r.storage.Location(), ErrConfigLost)
}

// Unfinished reports whether the repository has neither tarn.json nor content,
// as a killed Create leaves one; Mend completes it.
func (r *Repo) Unfinished(ctx context.Context) (bool, error) {
	if !errors.Is(r.lost, fs.ErrNotExist) {
		return false, nil
	}
	left, err := leftover(ctx, r.storage, contentPrefixes)
	return left == "", err
}
