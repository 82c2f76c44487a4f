package main

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"filippo.io/age/plugin"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
)

// complain prints an error that ends a command, and what to do about it.
func complain(e *env, err error) {
	var said []string
	for _, each := range parts(err) {
		if line := printableError(each); !slices.Contains(said, line) {
			said = append(said, line)
			fmt.Fprintf(e.stderr, "tarn: %s\n", line)
		}
	}
	hint := hintFor(err)
	if cache := cacheHint(e, err); cache != "" {
		hint = cache
	}
	if hint != "" {
		fmt.Fprintf(e.stderr, "      %s\n", hint)
	}
}

// misunderstood says what to do about words that a command does not know.
func misunderstood(cmd *cobra.Command, err error) error {
	text, suggested, _ := strings.Cut(err.Error(), "\n\nDid you mean this?")
	text, _, _ = strings.Cut(text, ": strconv.") // "invalid argument … for … flag" says it all
	var want, got int64
	_, few := fmt.Sscanf(text, "requires at least %d arg(s), only received %d", &want, &got)
	_, other := fmt.Sscanf(text, "accepts %d arg(s), received %d", &want, &got)
	if few == nil || other == nil {
		least := "wants "
		if few == nil {
			least += "at least "
		}
		return hinted{
			fmt.Errorf("%s %s%s, and got %d", cmd.CommandPath(), least, formatCount(want, "argument", "arguments"), got),
			"Usage: `" + strings.TrimSuffix(cmd.UseLine(), " [flags]") + "`; `" + cmd.CommandPath() + " --help` says more.",
		}
	}
	hint := "See `" + cmd.CommandPath() + " --help`."
	if words := strings.Fields(suggested); len(words) > 0 {
		hint = "Did you mean `" + cmd.CommandPath() + " " + strings.Join(words, "` or `"+cmd.CommandPath()+" ") + "`? " + hint
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" {
			hint = fmt.Sprintf("A value of --%s is written with a =, as in --%s=%s.", f.Name, f.Name, valueAfter(cmd, f))
		}
	})
	return hinted{errors.New(text), hint}
}

// valueAfter is the word that was meant as the value of a flag.
func valueAfter(cmd *cobra.Command, f *pflag.Flag) string {
	if args := cmd.Flags().Args(); len(args) > 0 {
		return args[0]
	}
	return f.NoOptDefVal
}

// parts are the errors that errors.Join has put together, or err alone.
func parts(err error) (list []error) {
	j, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != joinedText(j.Unwrap(), "\n") {
		return []error{err}
	}
	for _, each := range j.Unwrap() {
		list = append(list, parts(each)...)
	}
	return list
}

func joinedText(errs []error, between string) string {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, between)
}

// onOneLine replaces the lines of joined errors within the text of err. Other
// newlines are of a name, and stay for printable to quote.
func onOneLine(err error, text string) string {
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if inner := u.Unwrap(); inner != nil {
			text = onOneLine(inner, text)
		}
	case interface{ Unwrap() []error }:
		if joined := joinedText(u.Unwrap(), "\n"); err.Error() == joined {
			text = strings.ReplaceAll(text, joined, joinedText(u.Unwrap(), "; "))
		}
		for _, each := range u.Unwrap() {
			text = onOneLine(each, text)
		}
	}
	return text
}

// plainWords replaces what Go's own errors say at the end of a message. What a
// message says of an argument is enough without "invalid argument", if that is
// not what the system has said.
func plainWords(err error, text string) string {
	ends := []struct {
		of error
		as string
	}{{fs.ErrNotExist, ": it is not there"}, {fs.ErrExist, ": it is there already"}, {fs.ErrInvalid, ""}}
	for _, end := range ends {
		if rest, ok := strings.CutSuffix(text, ": "+end.of.Error()); ok && !errors.Is(err, syscall.EINVAL) {
			return rest + end.as
		}
	}
	return text
}

// cacheHint says what to do if the cache folder can't be written; "" if err is
// about something else.
func cacheHint(e *env, err error) string {
	dirs, dirsErr := machine.UserDirs(e.getenv)
	if dirsErr != nil || !strings.Contains(err.Error(), dirs.Cache) {
		return ""
	}
	what := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		what = "The disk of the cache folder %s is full. Make room there, or %s."
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		what = "The cache folder %s can't be written. Make it writable, or %s."
	default:
		return ""
	}
	move := "name a folder elsewhere in XDG_CACHE_HOME"
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		move = "put a link to a folder elsewhere in its place"
	}
	return fmt.Sprintf(what, printable(dirs.Cache), move)
}

// onlyProblems reports whether err says no more than errProblems. An error
// beside it, as of closing the catalog, must not be lost.
func onlyProblems(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !onlyProblems(e) })
	}
	return err == errProblems
}

// hintFor says what to do next about an error whose cause it knows.
func hintFor(err error) string {
	var h hinted
	var path *fs.PathError
	var missing *plugin.NotFoundError
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.Is(err, repo.ErrKeysLost):
		return "Put an object of keys/ back where you have a copy of it. RECOVERY.txt in the repository says how to get the files with its identity alone."
	case errors.Is(err, repo.ErrNoCopy):
		return "Put tarn.json back where you have a copy of it. RECOVERY.txt in the repository says how to get the files without it."
	case errors.Is(err, repo.ErrConfigLost):
		return "Nothing was written, to spare what is there. `tarn rebuild` writes tarn.json again; or name another place with --repo."
	case errors.Is(err, repo.ErrConfigStays):
		return "Move tarn.json away or delete it, and run `tarn rebuild` again: it writes a new one, from the copy in keys/."
	case errors.Is(err, machine.ErrTwice):
		return "Programs differ in which of the two counts. Look which has the key that is in use, delete the other one or give it another name, and run the same command again."
	case errors.As(err, &missing):
		return "Install age-plugin-" + missing.Name + " where the system finds programs (PATH)."
	case errors.Is(err, repo.ErrColdMetadata):
		return repo.AdviceCold
	case errors.Is(err, tarn.ErrNotAuthentic):
		return "Somebody other than your machines may have written to the repository. Keep it as it is, and see `tarn check`."
	case errors.Is(err, tarn.ErrDamaged):
		return "`tarn check` lists what is damaged and which files that costs; `tarn rebuild` mends what can be mended."
	case errors.Is(err, tarn.ErrTierRefused):
		return "Name one of those by --tier. Nothing was asked for, and nothing spent but the request that was refused, if there was one."
	case errors.Is(err, durable.ErrLocked):
		return "Another run of tarn is at work there: run the same command again once it has ended."
	case errors.Is(err, tarn.ErrBusy):
		return "Run the same command again later: it goes on with the rest."
	case errors.Is(err, tarn.ErrCold):
		return "`tarn thaw SNAPSHOT PATH` says what a readable copy of its archive costs, and asks for it; `tarn thaw --status` says when it is there."
	case hintCloud(err) != "":
		return hintCloud(err)
	case hintS3(err) != "":
		return hintS3(err)
	case strings.Contains(err.Error(), "as a user who may"): // it says what to do by itself
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "Run it as a user who may do that, or name another place."
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "Make room there, and run the same command again: it goes on where it was."
	case errors.Is(err, syscall.ENOTDIR), errors.As(err, &path) && path.Op == "mkdir" && errors.Is(path, fs.ErrExist):
		return "A file is in the place of a folder: name another path, or move the file away."
	}
	return ""
}

// hinted is an error with what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// bare strips what os puts around a system error, for messages that name the thing.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// printableError shows an error, which may repeat a name, on one line and
// without such characters. What errors.Join put on lines of their own is parted by
// semicolons.
func printableError(err error) string {
	text := plainWords(err, onOneLine(err, err.Error()))
	if !strings.ContainsFunc(text, unprintable) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		_, n := utf8.DecodeRuneInString(text)
		if c := text[:n]; strings.ContainsFunc(c, unprintable) {
			q := strconv.Quote(c)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteString(c)
		}
		text = text[n:]
	}
	return b.String()
}

// notExist reports whether err says that something is not there.
func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
