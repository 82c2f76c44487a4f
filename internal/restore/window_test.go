package restore

import "testing"

// SetWindow makes windows of so many files until the test ends.
func SetWindow(t *testing.T, jobs int) {
	was := windowJobs
	windowJobs = jobs
	t.Cleanup(func() { windowJobs = was })
}
