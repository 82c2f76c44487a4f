//go:build !unix

package main

import "os"

// maxResident returns 0: this platform keeps no such figure with a process that ended.
func maxResident(*os.ProcessState) int64 { return 0 }
