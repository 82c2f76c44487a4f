// Package e2e tests tarn as a whole: the real binary that is killed,
// interrupted and pointed at real S3 servers. For them and for the tests of
// other packages it offers Bench, a machine with a repository on any storage,
// and Tree, a picture of a folder to compare. Nothing but tests imports it.
package e2e
