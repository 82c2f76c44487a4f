// Package catalog is this machine's copy of a repository's metadata, and a
// look-up of content by hash over its indexes. All of it is a cache: it can be
// deleted at any time and is rebuilt from the repository.
//
// A folder holds one repository's:
//
//	indexes/ trees/ snapshots/   plaintext copies of metadata (Files)
//	contents/                    sorted runs of (content hash, location) (Contents)
package catalog
