package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/s3lab"
)

const (
	labAddr   = "127.0.0.1:9444"
	labBucket = "lab"
	labAccess = "lab"
	labSecret = "labsecret"
	labRegion = "us-east-1"
)

// labFlags are those of `tarn lab` itself.
type labFlags struct {
	addr, dir, upstream string
	exec                bool
}

func newLab(g *globals) *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab [--exec COMMAND [ARG]...]",
		Short: "Try S3's cold classes on this machine, with a clock that can be moved",
		Long: `lab is an S3 server whose objects freeze: in GLACIER and DEEP_ARCHIVE they have to be thawed before they can be read, which takes
as long as on AWS, on a clock that ` + "`tarn lab advance 12h`" + ` moves. It keeps the objects itself, in --dir or in memory, or stands before
a real S3 server (--upstream). It prints the variables to use it with, makes the bucket ` + labBucket + `, and logs each request with its price at
AWS (us-east-1); ` + "`tarn lab bill`" + ` adds them up, with storage. Ctrl-C ends it.

With --exec, everything behind it is a command that runs with these variables set, on a free port unless --addr is given; the lab
ends with it, and returns its exit code.` + "\n" + exitCodes,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.exec && !cmd.Flags().Changed("addr") {
				f.addr = "127.0.0.1:0"
			}
			switch {
			case f.exec && len(args) == 0:
				return errors.New("--exec wants a command")
			case !f.exec && len(args) > 0:
				return misunderstood(cmd, fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()))
			}
			return g.lab(cmd.Context(), f, args)
		},
	}
	// Flags behind --exec COMMAND are the command's.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&f.addr, "addr", labAddr, "address to listen on")
	cmd.Flags().StringVar(&f.dir, "dir", "", "folder to keep everything in (default: in memory, until the lab ends)")
	cmd.Flags().StringVar(&f.upstream, "upstream", "", "URL of a real S3 server that stores the objects; its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	cmd.Flags().BoolVar(&f.exec, "exec", false, "run the command that follows, and end with it")
	cmd.AddCommand(newLabAdvance(g), newLabBill(g), newLabExpedited(g), newLabMove(g))
	return cmd
}

// lab runs a lab until it is interrupted, or the command ends.
func (g *globals) lab(ctx context.Context, f labFlags, args []string) (err error) {
	// Before the folder is opened: two labs on one address are two on one folder, as a rule.
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return hinted{fmt.Errorf("starting the lab: %w", err), "Another lab may be running there; --addr names another address."}
	}
	cfg, err := g.labConfig(f)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	lab, release, err := openLab(cfg)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: lab, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		if stopErr := errors.Join(stopLab(server, lab), release()); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
	}()
	if err := lab.CreateBucket(ctx, labBucket); err != nil {
		return err
	}
	here := g.labHome(listener.Addr(), f, cfg)
	if f.exec {
		return g.execIn(ctx, here, args)
	}
	if err := g.welcome(here, f); err != nil {
		return err
	}
	select {
	case <-ctx.Done(): // which is how it is meant to end
		return nil
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	}
}

// openLab opens a lab, and keeps others out of its folder until the function that
// it returns is called.
func openLab(cfg s3lab.LabConfig) (*s3lab.Lab, func() error, error) {
	release, err := lockLab(cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	lab, err := s3lab.Open(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return lab, release, nil
}

// lockLab keeps other labs out of a lab's folder, until the function that it
// returns is called. Two labs would write into one journal, which no lab could read
// afterwards.
func lockLab(dir string) (release func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the lab's folder: %w", err)
	}
	lock, err := durable.TryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, hinted{fmt.Errorf("starting the lab: another lab is running in %s", printable(dir)), "End it first, or name another folder with --dir."}
	} else if err != nil {
		return nil, fmt.Errorf("starting the lab: %w", err)
	}
	return lock.Unlock, nil
}

// labConfig says what lab the flags ask for.
func (g *globals) labConfig(f labFlags) (s3lab.LabConfig, error) {
	var mu sync.Mutex
	cfg := s3lab.LabConfig{Dir: f.dir, AccessKey: labAccess, SecretKey: labSecret, Region: labRegion, Now: g.now}
	if !g.quiet {
		cfg.Observe = func(e s3lab.Event) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(g.stderr, requestLine(e))
		}
	}
	if f.dir == "" {
		// What the lab holds is no garbage: main's limit would have it
		// collected all the time.
		debug.SetMemoryLimit(math.MaxInt64)
	}
	if f.upstream == "" {
		return cfg, nil
	}
	u, err := url.Parse(f.upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return cfg, fmt.Errorf("--upstream %q: want a URL such as http://127.0.0.1:9000", f.upstream)
	}
	cfg.Upstream, cfg.AccessKey, cfg.SecretKey = u, g.getenv("AWS_ACCESS_KEY_ID"), g.getenv("AWS_SECRET_ACCESS_KEY")
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region := g.getenv(name); region != "" {
			cfg.Region = region
			break
		}
	}
	if cfg.AccessKey == "" || cfg.SecretKey == "" {
		return cfg, hinted{errors.New("--upstream: the keys of that server are not known"), "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."}
	}
	return cfg, nil
}

// stopLab ends a lab: requests that are under way get a moment.
func stopLab(server *http.Server, lab *s3lab.Lab) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return errors.Join(err, lab.Close())
}

// labVariable is a variable that leads a program to the lab.
type labVariable struct{ name, value string }

// labHome returns what to set to use the lab. The secret of a real server is
// not among it: it is set already, and nothing to print.
func (g *globals) labHome(addr net.Addr, f labFlags, cfg s3lab.LabConfig) []labVariable {
	vars := []labVariable{{"AWS_ACCESS_KEY_ID", cfg.AccessKey}}
	if f.upstream == "" {
		vars = append(vars, labVariable{"AWS_SECRET_ACCESS_KEY", cfg.SecretKey})
	}
	return append(vars, labVariable{"AWS_REGION", cfg.Region}, labVariable{"AWS_DEFAULT_REGION", cfg.Region},
		labVariable{"AWS_ENDPOINT_URL_S3", "http://" + addr.String()}, labVariable{"TARN_PRICES", "aws/us-east-1"})
}

// labUnset are variables that would lead elsewhere.
var labUnset = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"}

// welcome prints how to use the lab: to stdout what a shell can read, to
// stderr what is for people.
func (g *globals) welcome(vars []labVariable, f labFlags) error {
	note := func(format string, args ...any) {
		if !g.quiet {
			fmt.Fprintf(g.stderr, format+"\n", args...)
		}
	}
	if g.json {
		doc := map[string]any{"bucket": labBucket}
		for _, v := range vars {
			doc[v.name] = v.value
		}
		if err := g.printJSON(doc); err != nil {
			return err
		}
	} else {
		for _, name := range labUnset {
			if g.getenv(name) != "" {
				fmt.Fprintf(g.stdout, "unset %s\n", name)
			}
		}
		for _, v := range vars {
			if _, err := fmt.Fprintf(g.stdout, "export %s=%s\n", v.name, v.value); err != nil {
				return err
			}
		}
	}
	note("The bucket is %s: try `tarn -r s3://%s/photos backup FOLDER`. `tarn lab advance 12h` moves the clock.", labBucket, labBucket)
	switch {
	case f.dir == "" && f.upstream != "":
		note("The objects stay on that server when it ends; their classes and thaws, the clock and the bill are in memory, and gone then (--dir keeps them).")
	case f.dir == "":
		note("It lives in memory: what it holds is gone when it ends (--dir keeps it).")
	}
	if host, _, err := net.SplitHostPort(f.addr); err == nil && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		note("It listens on %s, where others may reach it: it is no safe place.", f.addr)
	}
	return nil
}
