//go:build !unix

package main

import "errors"

// turn takes no turns here.
func turn(name string) (func(), error) {
	if name != "" {
		return nil, errors.New("-turns needs a Unix system")
	}
	return func() {}, nil
}
