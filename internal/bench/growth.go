package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// growth measures tarn on sets that grow: time should be linear and memory flat.
func growth(ctx context.Context, o options) error {
	g := grower{bench: bench{options: o}, tool: tarnTool(o.tarn)}
	fmt.Fprintf(&g.table, "Measured on %s.\n\n| set | action | seconds | a unit | peak MB |\n|---|---|---|---|---|\n", machine())
	for _, n := range o.sizes {
		if err := g.manyBytes(ctx, n); err != nil {
			return err
		}
	}
	// Last, and one tree that grows: many deletions make a disk slow for what comes next.
	defer os.RemoveAll(g.many())
	defer os.RemoveAll(g.home())
	slices.Sort(o.files)
	made := int64(0)
	for _, n := range o.files {
		if err := g.manyFiles(ctx, made, n); err != nil {
			return err
		}
		made = n
	}
	fmt.Print(g.table.String())
	return replace(o.out, "growth", g.table.String())
}

type grower struct {
	bench
	tool  tool
	table strings.Builder
}

func (g *grower) many() string { return filepath.Join(g.dir, "many") }
func (g *grower) home() string { return filepath.Join(g.dir, "home", "growth") }

// manyFiles measures n files of 100 bytes in folders of 1,000, of which 250 are
// in a folder each, and made are there already.
func (g *grower) manyFiles(ctx context.Context, made, n int64) error {
	source := g.many()
	rnd := rand.New(rand.NewPCG(3, uint64(made)))
	for i := made; i < n; i++ {
		path := filepath.Join(source, fmt.Sprintf("part%02d", i/250_000), fmt.Sprintf("folder%03d", i/1000%250), fmt.Sprintf("file%07d", i))
		if err := writeFile(path, strings.NewReader(fmt.Sprintf("%d %0*d\n", i, 20+rnd.IntN(80), rnd.Int64())), int(i%100_000)); err != nil {
			return err
		}
	}
	home := g.home()
	if err := g.start(ctx, home); err != nil {
		return err
	}
	name := fmt.Sprintf("%.1f million files", float64(n)/1e6)
	list := g.tool.backup(home, source)
	list.args = append(list.args[:3:3], "ls", "latest")
	for _, step := range []struct {
		what string
		c    command
	}{{"first backup", g.tool.backup(home, source)}, {"unchanged backup", g.tool.backup(home, source)}, {"ls", quiet(list)}} {
		if err := g.step(ctx, home, name, step.what, float64(n)/1e6, "s a million", step.c); err != nil {
			return err
		}
	}
	return nil
}

// quiet throws away what a command prints, so that it is not kept in memory.
func quiet(c command) command {
	var words []string
	for _, a := range c.args {
		words = append(words, sh(a))
	}
	q := shell("exec " + strings.Join(words, " ") + " > /dev/null")
	q.env = c.env
	return q
}

// manyBytes measures the first backup of n GB in files of 250 MB, of which one
// byte in eight is noise and the rest repeats, so that the repository is small
// beside the source.
func (g *grower) manyBytes(ctx context.Context, n int64) error {
	source := filepath.Join(g.dir, "large")
	defer os.RemoveAll(source)
	noise := rand.NewChaCha8([32]byte{9})
	block := make([]byte, 1_000_000)
	for i := range n * 4 {
		if err := writeFile(filepath.Join(source, fmt.Sprintf("image%03d.raw", i)), &halfNoise{noise: noise, block: block, left: 250}, int(i)); err != nil {
			return err
		}
	}
	home := g.home()
	if err := g.start(ctx, home); err != nil {
		return err
	}
	return g.step(ctx, home, fmt.Sprintf("%d GB", n), "first backup", float64(n), "s a GB", g.tool.backup(home, source))
}

// halfNoise yields left blocks that begin with noise and go on with zeros and a
// few bytes that change.
type halfNoise struct {
	noise     *rand.ChaCha8
	block     []byte
	left, pos int
}

func (h *halfNoise) Read(b []byte) (int, error) {
	if h.pos == 0 {
		if h.left == 0 {
			return 0, io.EOF
		}
		h.left--
		h.noise.Read(h.block[:len(h.block)/8])
		for i := len(h.block) / 8; i < len(h.block); i += 4096 {
			h.block[i] = byte(i >> 12)
		}
	}
	n := copy(b, h.block[h.pos:])
	h.pos = (h.pos + n) % len(h.block)
	return n, nil
}

func (g *grower) start(ctx context.Context, home string) error {
	if err := g.fresh(ctx, g.tool, home, g.tool.init); err != nil {
		return err
	}
	return settle(ctx)
}

// step runs a command and adds a row.
func (g *grower) step(ctx context.Context, home, name, what string, units float64, unit string, c command) error {
	done, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	c.env = append(c.env, g.tool.env(home)...)
	_, m, err := c.run(ctx)
	if err != nil {
		return err
	}
	row := fmt.Sprintf("| %s | %s | %.2f | %.2f %s | %d |\n", name, what, m.Seconds, m.Seconds/units, unit, m.Memory/1e6)
	g.table.WriteString(row)
	fmt.Fprint(os.Stderr, row)
	return nil
}
