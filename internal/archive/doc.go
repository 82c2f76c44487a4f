// Package archive is the codec of archives (docs/format.md, "Archives"): a tar
// in zstd frames that each decode alone, closed by a seek table, inside of age
// if it is encrypted. It knows no repository, file or network.
package archive
