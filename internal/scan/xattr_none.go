//go:build unix && !linux && !darwin

package scan

// On these systems tarn records no extended attributes.

const noAtime = 0

func (d dir) xattrPath(_, disk string) string { return disk }

func pathXattrs(string) xattrSource {
	return xattrSource{list: func([]byte) (int, error) { return 0, nil }}
}

func fdXattrs(int) xattrSource { return pathXattrs("") }

func xattrsUnsupported(error) bool { return false }

func xattrTooLarge(error) bool { return false }

func xattrGone(error) bool { return false }
