//go:build !linux

package main

import (
	"fmt"
	"os"
)

func weak() {
	fmt.Fprintln(os.Stderr, "weak: only on Linux")
	os.Exit(125)
}
