package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// unread collects the snapshots and trees that can't be read here, while a
// command shows the others: a machine that only backs up reads its own, and one
// damaged snapshot must not hide a hundred whole ones.
type unread struct {
	snapshots, trees unreadKind
}

// unreadKind is what is said of the unreadable things of one kind: those that
// another identity may read, and the rest.
type unreadKind struct {
	sealed, broken int
	sealedName     string // the first of them
	brokenError    error
	seen           map[string]bool
}

// snapshot notes a snapshot, unless err says that no other can be read either.
func (u *unread) snapshot(id tarn.SnapshotID, err error) error {
	return u.snapshots.add(string(id), err)
}

// tree notes the tree of a split.
func (u *unread) tree(sp repo.Split, err error) error {
	return u.trees.add(sp.Path+" ("+sp.Tree.String()+")", err)
}

func (k *unreadKind) add(name string, err error) error {
	switch {
	case ofAll(err):
		return err
	case k.seen[name]:
		return nil
	}
	if k.seen == nil {
		k.seen = map[string]bool{}
	}
	k.seen[name] = true
	if errors.Is(err, tarn.ErrNoIdentity) {
		if k.sealed++; k.sealed == 1 {
			k.sealedName = name
		}
	} else if k.broken++; k.broken == 1 {
		k.brokenError = err
	}
	return nil
}

// ofAll reports whether err is not about one object, but about the storage,
// this machine, or an interrupt.
func ofAll(err error) bool {
	for _, of := range []error{context.Canceled, context.DeadlineExceeded, tarn.ErrDenied, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if errors.Is(err, of) {
			return true
		}
	}
	return errors.As(err, new(*net.OpError)) || errors.As(err, new(*url.Error))
}

// done says in a line of each kind what was left out. Its error is that of the
// command.
func (u *unread) done(g *globals) error {
	u.snapshots.print(g, "snapshot", "snapshots")
	u.trees.print(g, "tree", "trees")
	if u.snapshots.count()+u.trees.count() > 0 {
		return errProblems
	}
	return nil
}

// nothing is the error where not one snapshot could be read: nil if there is none.
func (u *unread) nothing() error {
	switch {
	case u.snapshots.sealed > 0:
		return fmt.Errorf("%s, and none can be read: %w", formatCount(int64(u.snapshots.count()), "snapshot", "snapshots"), tarn.ErrNoIdentity)
	case u.snapshots.broken > 0:
		return fmt.Errorf("%s, and none can be read: %w", formatCount(int64(u.snapshots.count()), "snapshot", "snapshots"), u.snapshots.brokenError)
	}
	return nil
}

func (k *unreadKind) count() int { return k.sealed + k.broken }

func (k *unreadKind) print(g *globals, one, many string) {
	among := func(n int) string {
		if n > 1 {
			return ", among them "
		}
		return ": "
	}
	if k.sealed > 0 {
		how := "without the identity"
		if len(g.namedIdentities()) > 0 {
			how = "with the identity that was given"
		}
		fmt.Fprintf(g.stderr, "tarn: %s can't be read %s (--identity FILE or TARN_IDENTITY)%s%s\n",
			formatCount(int64(k.sealed), one, many), how, among(k.sealed), printable(k.sealedName))
	}
	if k.broken > 0 {
		fmt.Fprintf(g.stderr, "tarn: %s can't be used (see `tarn check`)%s%s\n", formatCount(int64(k.broken), one, many), among(k.broken), printableError(k.brokenError))
		if errors.Is(k.brokenError, repo.ErrColdMetadata) {
			fmt.Fprintf(g.stderr, "      %s\n", hintFor(k.brokenError))
		}
	}
}
