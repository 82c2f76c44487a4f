// Package backup makes a snapshot: it walks the sources, compares them with
// the parent's trees in one merge of two sorted streams, reads and hashes what
// changed, packs what the repository does not hold into archives, and commits
// the run. Run is its one entry point.
//
// Per split, a producer compares, readers (shared by all splits) read and hash
// small files side by side, and a packer takes the results in order. So each
// file is read once, archives and trees come out sorted, and memory is bounded by
// a budget for bytes in flight.
package backup
