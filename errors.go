package tarn

import "errors"

// Errors that a caller acts on. What isn't there is fs.ErrNotExist, what is
// there already fs.ErrExist.
var (
	// ErrCold says that an object has to be thawed before it can be read.
	ErrCold = errors.New("object is cold: it has to be thawed first")
	// ErrThawing says that a thaw of the object is under way.
	ErrThawing = errors.New("object is being thawed")
	// ErrUnanswered says that a request got no answer that could be understood, and
	// may have taken effect.
	ErrUnanswered = errors.New("a request was not answered")
	// ErrTierRefused says that the storage does not thaw the object in the tier
	// that was asked for: not now, or never objects of that class.
	ErrTierRefused = errors.New("this tier is refused")
	// ErrBusy says that the storage wants fewer requests, and said so each time
	// that one was tried again.
	ErrBusy = errors.New("the storage wants fewer requests")
	// ErrDamaged says that bytes are not what was recorded of them.
	ErrDamaged = errors.New("damaged")
	// ErrNotAuthentic says that an object was not written by a holder of the
	// repository's key.
	ErrNotAuthentic = errors.New("not authentic")
	// ErrNoIdentity says that reading needs an identity that was not given.
	ErrNoIdentity = errors.New("no identity for this repository")
	// ErrKey says that the storage can't have an object of this key, whatever it holds,
	// and may well have others.
	ErrKey = errors.New("the storage can't have this key")
	// ErrDenied says that the storage refuses the credentials or the permission.
	ErrDenied = errors.New("access denied by the storage")
)
