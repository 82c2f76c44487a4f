package main

import "github.com/spf13/cobra"

// tarballReaders are the commands that read what the script or tarn has stored.
func tarballReaders(g *globals, at *tarballPlace) []*cobra.Command {
	return []*cobra.Command{
		newTarballList(g, at), newTarballLs(g, at), newTarballRestore(g, at), newTarballVerify(g, at), newTarballThaw(g, at), newTarballImport(g, at),
	}
}
