// Package scan walks a source for a backup: it says which splits a source has
// and streams the entries of each, sorted by tarn.ComparePaths, reading
// directories ahead in parallel while it yields strictly in order. What the
// user excludes it does not even stat. It opens files for reading without
// ever following a symlink below the source's root.
package scan
