package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes of every command.
const (
	exitDone        = 0
	exitFailed      = 1
	exitProblems    = 3 // done, but for the files listed
	exitInterrupted = 130
)

const exitCodes = `
Exit codes: 0 done; 1 failed; 3 done, but for the files listed; 130 interrupted.`

// errProblems says that a command did its work but for what it has listed.
var errProblems = errors.New("done, but for what is listed above")

// globals are the flags that every command has.
type globals struct {
	*env
	repo       string
	identities []string
	json       bool
	quiet      bool
	verbose    bool
	endpoint   string
	profile    string
	region     string
	priceOf    string // --prices: PROVIDER/REGION
	cpuProfile string
	memProfile string
	log        *slog.Logger
	keys       *keyring // nil until a repository is opened or made
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	out := &output{w: e.stdout}
	mine := *e
	mine.stdout = out
	g := &globals{env: &mine}
	root := newRoot(g)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(out)
	root.SetErr(e.stderr)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if !cmd.Runnable() {
			cmd.RunE = helpOnly
		}
		if cmd.Name() == "help" {
			cmd.Run, cmd.RunE = nil, helpOf
		}
	}
	stop := func() error { return nil }
	understood := false
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := noneEmpty(cmd, args); err != nil {
			return err
		}
		understood = true
		g.log = newLog(g)
		stop, err = g.startProfiles()
		return err
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !understood {
		err = misunderstood(cmd, err)
	}
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	err = out.finish(err)
	code := exitCode(ctx, err)
	if err != nil && code != exitProblems && !saidItself(err) {
		if code == exitInterrupted {
			err = errors.New("interrupted")
		}
		complain(&mine, g.hintIdentity(err))
	}
	return code
}

// helpOf is `tarn help COMMAND`, which in cobra succeeds for any word.
func helpOf(cmd *cobra.Command, args []string) error {
	about, _, err := cmd.Root().Find(args)
	if err != nil {
		return misunderstood(cmd.Root(), err)
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}

// noneEmpty refuses empty arguments and values of flags. They come from
// variables of scripts that are not set, and to take them for "not given" would mean
// the current folder, another repository, or everything.
func noneEmpty(cmd *cobra.Command, args []string) (err error) {
	if strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) {
		return nil // a shell asks how to complete an empty word
	}
	for i, arg := range args {
		if arg == "" {
			return fmt.Errorf("argument %d of %s is empty: leave it out, or look at the variable that it comes from", i+1, cmd.CommandPath())
		}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if err == nil && slices.Contains(values, "") {
			err = fmt.Errorf("--%s is empty: leave it out, or look at the variable that its value comes from", f.Name)
		}
	})
	return err
}

// exitCode is the one place that maps errors to exit codes.
func exitCode(ctx context.Context, err error) int {
	if child, ok := errors.AsType[childExit](err); ok {
		return int(child)
	}
	switch {
	case err == nil:
		return exitDone
	case onlyProblems(err):
		return exitProblems
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return exitFailed
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "tarn",
		Short: "Backups in the coldest, cheapest classes of S3, with everything about them warm",
		Long: `tarn backs folders up into plain tar.zst archives, encrypted with age, in a local folder or in S3, and
gets them back. What it knows about the files stays warm: to list, find and compare reads no archive.` + "\n" + exitCodes,
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.SetVersionTemplate("{{.Version}}\n")
	f := root.PersistentFlags()
	g.repo = g.getenv("TARN_REPO")
	f.VarP(&once{value: &g.repo}, "repo", "r", "repository: a folder, or s3://bucket/prefix (TARN_REPO; default: a folder in your data folder)")
	f.StringArrayVar(&g.identities, "identity", nil, "file with an age identity or an SSH key (TARN_IDENTITY; default: those in the configuration folder)")
	f.BoolVar(&g.json, "json", false, "print JSON: one document, or lines for lists and progress")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print errors only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "print more")
	f.StringVar(&g.endpoint, "s3-endpoint", "", "URL of an S3 server other than AWS (also AWS_ENDPOINT_URL_S3)")
	f.StringVar(&g.profile, "aws-profile", "", "profile of the AWS configuration (also AWS_PROFILE)")
	f.StringVar(&g.cpuProfile, "cpuprofile", "", "")
	f.StringVar(&g.memProfile, "memprofile", "", "")
	f.MarkHidden("cpuprofile") // for whoever makes tarn faster
	f.MarkHidden("memprofile")
	f.StringVar(&g.region, "aws-region", "", "region of the bucket (also AWS_REGION)")
	f.StringVar(&g.priceOf, "prices", g.getenv("TARN_PRICES"), "whose prices count: PROVIDER/REGION, such as aws/us-east-1 (TARN_PRICES; default: by endpoint and region)")
	root.AddCommand(newInit(g), newBackup(g), newSnapshots(g), newLs(g), newFind(g), newDiff(g), newStats(g),
		newRestore(g), newThaw(g), newCat(g), newDump(g), newCheck(g), newDrill(g), newRebuild(g), newKey(g), newCost(g), newTarball(g), newCloud(g),
		newLab(g), newVersion(g), newMan(root))
	return root
}

// helpOnly is a command that only has commands below it: cobra would print the
// help for a word that it does not know, and call that a success.
func helpOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return misunderstood(cmd, fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()))
}

// newLog is where the library's warnings go; -v shows what it does, too.
func newLog(g *globals) *slog.Logger {
	level := slog.LevelWarn
	if g.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(g.stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
