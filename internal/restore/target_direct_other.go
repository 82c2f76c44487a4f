//go:build !linux

package restore

import (
	"errors"

	"github.com/tarn-backup/tarn"
)

// Only Linux makes files under their own names; elsewhere a temporary one costs little more.

func (d *dir) direct(*mark, int, string, *tarn.Entry, []byte, warnFunc) error {
	return errors.ErrUnsupported
}

func (d *dir) mark(string) (*mark, error) { return nil, errors.ErrUnsupported }

func (d *dir) unmark(*mark) error { return nil }

func (d *dir) abandoned(string) ([]byte, bool) { return nil, false }
