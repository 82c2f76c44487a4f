package s3

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// firstAttempts is how often a server is tried that has never answered as S3
// servers do: it is the wrong one, as a rule, or there is no network.
const firstAttempts = 2

// try makes a request until it succeeds, fails for good, or has had its
// attempts. request returns an error of the SDK or a *failure; what try
// returns is a *failure, or the error of ctx.
func (s *Storage) try(ctx context.Context, request func() error) error {
	for attempt := 1; ; attempt++ {
		err := request()
		if err == nil {
			s.reached.Store(true)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := s.classify(err)
		if f.code != "" || f.status >= 500 {
			s.reached.Store(true)
		}
		if !f.retry || attempt >= s.cfg.MaxAttempts || attempt >= firstAttempts && !s.reached.Load() {
			f.attempts = attempt
			return f
		}
		s.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "S3 request is retried",
			slog.Int("attempt", attempt), slog.String("error", f.Error()))
		if err := s.wait(ctx, attempt); err != nil {
			return err
		}
	}
}

// wait sleeps before the attempt that follows the given one, for a random
// time, so that clients that failed together do not come back together.
func (s *Storage) wait(ctx context.Context, attempt int) error {
	d := s.cfg.MinDelay << min(attempt-1, 20)
	if d > s.cfg.MaxDelay || d <= 0 {
		d = s.cfg.MaxDelay
	}
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
