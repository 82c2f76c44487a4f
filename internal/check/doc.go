// Package check says whether a repository is whole: whether each object is
// there, decodes, is authentic and agrees with the others. It names each
// damaged object and the files of the snapshots that it costs, reads metadata
// only unless it is asked for more, and trusts no copy that the machine keeps.
package check
