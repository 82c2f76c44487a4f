// Package rebuild makes anew what can be: the catalog from the indexes, a lost
// index from its archive, a lost tree from a copy or from the members of
// archives. It overwrites and deletes nothing in the repository.
package rebuild
