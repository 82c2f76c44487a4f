// Package tarn holds the words of the program: entries, identifiers, content
// hashes, locations and storage classes, with their text forms, and the
// errors that callers act on. It does no I/O; every other package of the
// module imports it, and it imports none of them.
package tarn
