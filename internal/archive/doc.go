// Package archive is the codec of archives (docs/format.md, "Archives"): a tar
// in zstd frames that each decode alone, closed by a seek table, inside of age
// if it is encrypted. It knows no repository, file or network.
//
// A Writer makes an archive. A Reader reads stretches of the tar stream by
// ranges of the object, given the Layout that the Writer returned and the index
// keeps; ReadLayout finds the Layout again from the object alone. Members reads
// an archive from its first byte to its last with nothing but the standard
// formats, and so checks what Writer and Reader believe.
//
// Errors about bytes that can't be right wrap tarn.ErrDamaged; an identity that
// is missing is tarn.ErrNoIdentity.
package archive
