// Package repo is format 1 of a repository (docs/format.md): its
// configuration, keys, snapshots, trees and indexes, how each is encoded,
// encrypted and authenticated, and the order in which a run commits them. It
// knows a storage by its interface and nothing of file systems, except through
// the Cache that it is given.
package repo
