package s3

import (
	"errors"
	"net/http"
	"strings"
)

// sums is the kind of checksum that uploads carry.
type sums int

const (
	noSums sums = iota
	sha256Sums
	crc64Sums
)

// abilities is what the server can do, as far as it has shown. It starts with
// everything, and loses for good what the server refuses.
type abilities struct {
	conditional   bool // If-None-Match: * in writes
	sums          sums
	restoreStatus bool // in listings
}

var allAbilities = abilities{conditional: true, sums: crc64Sums, restoreStatus: true}

// adapt makes a request with what the server is able to do, and once more
// with less when the server refuses that.
func (s *Storage) adapt(request func(can abilities) error, lose func(error, abilities) abilities) error {
	for {
		can := s.able.Load()
		err := request(*can)
		if err == nil {
			return nil
		}
		less := lose(err, *can)
		if less == *can {
			return err
		}
		if s.able.CompareAndSwap(can, &less) {
			s.cfg.Logger.Debug("the S3 server is able to do less", "conditional", less.conditional,
				"sums", int(less.sums), "restoreStatus", less.restoreStatus, "error", err)
		}
	}
}

// loseInWrite returns what is left after a write has failed: all of it, if
// the error does not speak of an ability.
func loseInWrite(err error, can abilities) abilities {
	f, ok := errors.AsType[*failure](err)
	if !ok || f.status != http.StatusNotImplemented && f.status != http.StatusBadRequest {
		return can
	}
	text := strings.ToLower(f.message)
	aboutSums := strings.Contains(text, "checksum") || strings.Contains(text, "crc64") || strings.Contains(text, "algorithm")
	aboutCondition := strings.Contains(text, "none-match") || strings.Contains(text, "condition")
	unknown := f.status == http.StatusNotImplemented
	switch {
	case can.conditional && aboutCondition, can.conditional && unknown && !aboutSums:
		can.conditional = false
	case can.sums > noSums && (unknown || aboutSums && !aboutCondition && f.code != "BadDigest"):
		can.sums--
	}
	return can
}

func loseInList(err error, can abilities) abilities {
	if hasStatus(err, http.StatusNotImplemented) || hasStatus(err, http.StatusBadRequest) {
		can.restoreStatus = false
	}
	return can
}
