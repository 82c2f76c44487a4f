// Package browse answers questions about snapshots from their trees alone:
// which there are, what is in them, where a name occurs, what differs. It
// reads no archive.
package browse
