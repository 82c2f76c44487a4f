// Package tarball keeps the layout of a widely used backup script: one tar.gz
// per directory under a name in a bucket, with the MD5 over its files and their
// list beside it, and the whole archive again when something in it has changed. It
// takes over where the script stopped, and the script where it stopped:
// both find nothing to upload.
//
// Unlike a repository, such a backup is overwritten in place. The bucket is
// versioned, and keeps what was there before.
package tarball
