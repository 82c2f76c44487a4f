// Package drill proves a backup by chance: it draws archives at random, and in
// them contents, reads these back without writing them anywhere, and keeps a
// record of what had its hash, so that the share of a backup that was proven grows
// over as many runs as it takes. It asks for no thaw: whoever calls it does.
package drill
