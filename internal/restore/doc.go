// Package restore gets files back: it writes the entries of a snapshot below a
// target directory, checks each file against its content hash on the way, and
// never writes outside of the target, whatever the entries' paths and links say.
//
// Target is the writing half. It trusts nothing that it is given: paths are
// checked, walked one component at a time without following a link, and each
// file stands under a temporary name until its content has proved right.
package restore
