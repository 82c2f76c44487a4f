package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// shown is one reading of a run, for people.
type shown struct {
	done, total int64 // bytes
	counted     bool  // total is final
	rate        int64 // bytes whose speed is shown
	files       int64
	note        string
	current     string
}

// plainEvery is how often a line is printed where there is no terminal.
const plainEvery = 10 * time.Second

// progress shows a run: a bar on a terminal, plain lines elsewhere, JSON Lines
// with --json.
type progress struct {
	bars *mpb.Progress
	quit chan struct{}
	done sync.WaitGroup
}

// newProgress begins to show what read returns: a reading for people and the
// same for JSON.
func (g *globals) newProgress(read func() (shown, any)) *progress {
	p := &progress{quit: make(chan struct{})}
	width := g.terminal()
	if g.json || width == 0 {
		p.done.Go(func() { p.lines(g, read) })
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(g.stderr), mpb.WithWidth(width), mpb.WithRefreshRate(150*time.Millisecond))
	began := time.Now()
	text := func(f func(s shown) string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			s, _ := read()
			return f(s)
		})
	}
	bar := p.bars.New(0, mpb.BarStyle(), mpb.BarWidth(24), mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(text(func(s shown) string { return barText(s, time.Since(began), width-28) })))
	p.done.Go(func() {
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.quit:
				bar.Abort(true)
				return
			case <-tick.C:
				s, _ := read()
				bar.SetTotal(max(s.total, s.done, 1)+1, false)
				bar.SetCurrent(s.done)
			}
		}
	})
	return p
}

// barText is what stands beside the bar: share, rate, time left, current file.
func barText(s shown, elapsed time.Duration, width int) string {
	perSecond := float64(s.rate) / max(elapsed.Seconds(), 0.1)
	text := fmt.Sprintf(" %s/s, %s, %s", formatBytes(int64(perSecond)), formatCount(s.files, "file", "files"), s.note)
	if s.counted && s.total > 0 {
		text = fmt.Sprintf(" %3d%%%s", s.done*100/s.total, text)
		if left := s.total - s.done; perSecond > 0 {
			text += ", " + formatDuration(time.Duration(float64(left)/perSecond*float64(time.Second))) + " left"
		}
	}
	text += " " + printable(s.current)
	if r := []rune(text); len(r) > width && width > 1 {
		text = string(r[:width-1]) + "…"
	}
	return text
}

func (p *progress) lines(g *globals, read func() (shown, any)) {
	tick := time.NewTicker(plainEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-tick.C:
		}
		s, doc := read()
		if g.json {
			g.printJSON(doc)
			continue
		}
		of := ""
		if s.counted {
			of = " of " + formatBytes(s.total)
		}
		fmt.Fprintf(g.stderr, "%s%s, %s, %s, at %s\n", formatBytes(s.done), of, formatCount(s.files, "file", "files"), s.note, printable(s.current))
	}
}

// print writes a line above the bar. p may be nil.
func (p *progress) print(g *globals, line string) {
	var w io.Writer = g.stderr
	if p != nil && p.bars != nil {
		w = p.bars
	}
	fmt.Fprintln(w, line)
}

// stop ends the display.
func (p *progress) stop() {
	close(p.quit)
	p.done.Wait()
	if p.bars != nil {
		p.bars.Wait()
	}
}
