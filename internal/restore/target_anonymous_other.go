//go:build !linux

package restore

import (
	"errors"
	"os"

	"github.com/tarn-backup/tarn"
)

// Only Linux has files without a name.

func (d *dir) anonymous(uint32) (*os.File, error) { return nil, errors.ErrUnsupported }

func (d *dir) dress(*os.File, *tarn.Entry, bool, warnFunc) error { return errors.ErrUnsupported }

func (d *dir) publish(*os.File, string) error { return errors.ErrUnsupported }

func (d *dir) inherits() bool { return true }
