package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/tarn-backup/tarn/internal/repo"
)

// version is set by the linker in releases.
var version = "0.1.0-dev"

// program is how a snapshot names what wrote it.
func program() string { return "tarn " + version }

// versionText is what people see of it.
func versionText() string {
	return fmt.Sprintf("%s, format %d, %s %s/%s", program(), repo.Format, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			if g.json {
				return g.printJSON(map[string]any{"version": version, "revision": revision, "format": repo.Format, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			_, err := fmt.Fprintln(g.stdout, versionText())
			return err
		},
	}
}

func newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages into a folder",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("making the folder of the man pages: %w", err)
			}
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "TARN", Section: "1", Source: program()}, dir); err != nil {
				return fmt.Errorf("writing man pages: %w", err)
			}
			return nil
		},
	}
}
