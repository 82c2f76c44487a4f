package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestFidelity backs up a folder with everything that a file system can hold
// and restores it: rsync, which looks at all of it but holes, finds nothing to
// do, and holes take no blocks.
func TestFidelity(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make devices, owners and trusted attributes")
	}
	programs(t, "rsync", "find")
	p := newPerson(t)
	oddTree(t, p.path("odd"))
	for i, args := range [][]string{
		{"--split-depth", "0", "--archive-size", "3MiB"},
		{"--split-depth", "1"},
		{"--split-depth", "2", "--archive-size", "1MiB", "--compression", "fastest"},
		{"--split-depth", "4096", "--archive-size", "4KiB", "--compression", "best"},
	} {
		encryptions := []string{"--no-encryption", ""}
		if args[1] == "4096" {
			encryptions = encryptions[:1] // a thousand small objects, once is enough
		}
		for _, encryption := range encryptions {
			t.Run(fmt.Sprint(args, encryption), func(t *testing.T) {
				p := &person{t: t, dir: p.dir, env: p.env}
				repository := p.path(fmt.Sprint("repo", i, encryption))
				if encryption != "" {
					p.must("init", "-r", repository, encryption)
				}
				p.must(append([]string{"backup", "-r", repository, "--init", p.path("odd")}, args...)...)
				target := p.path(fmt.Sprint("back", i, encryption))
				p.must("restore", "-r", repository, "latest", "--target", target, "--verify")
				sameByRsync(t, p.path("odd"), filepath.Join(target, "odd"))
				sameNames(t, p.path("odd"), filepath.Join(target, "odd"))
				sameHoles(t, p.path("odd"), filepath.Join(target, "odd"))
				p.must("check", "-r", repository, "--read-data")
			})
		}
	}
}

// sameByRsync fails the test if rsync would change anything to make b like a;
// by default it does not look at nanoseconds.
func sameByRsync(t *testing.T, a, b string) {
	t.Helper()
	out, err := exec.Command("rsync", "-aHAXn", "--checksum", "--delete", "--modify-window=-1", "-i", a+"/", b+"/").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("rsync finds differences (%v):\n%s", err, bytes.TrimSpace(out))
	}
}

// sameNames compares what find tells of all entries: rsync passes over what it
// can't name, and this sees to it that nothing was passed over.
func sameNames(t *testing.T, a, b string) {
	t.Helper()
	var lists [2][]string
	for i, dir := range []string{a, b} {
		cmd := exec.Command("find", ".", "-printf", `%P %y %m %U:%G %n %T@ %l\0`)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("find: %v", err)
		}
		lists[i] = strings.Split(string(out), "\x00")
		slices.Sort(lists[i])
	}
	if !slices.Equal(lists[0], lists[1]) {
		t.Errorf("find lists\n%q, want\n%q", lists[1], lists[0])
	}
	longest := 0
	for _, line := range lists[1] {
		longest = max(longest, strings.Index(line, " f 644 "))
	}
	if longest < 4000 || len(lists[1]) < 200 {
		t.Errorf("find lists %d entries, the longest path has %d bytes: that is not all", len(lists[1]), longest)
	}
}

// sameHoles fails the test if a sparse file takes more blocks than in a, or if a
// file that has no holes got some.
func sameHoles(t *testing.T, a, b string) {
	t.Helper()
	for name := range sparseFiles {
		want, got := blocks(t, filepath.Join(a, name)), blocks(t, filepath.Join(b, name))
		if got > want+16 { // 512 bytes each; a file system may round up
			t.Errorf("%q takes %d blocks, want %d", name, got, want)
		}
	}
	const dense = "sparse/dense zeros"
	if want, got := blocks(t, filepath.Join(a, dense)), blocks(t, filepath.Join(b, dense)); got < want {
		t.Errorf("%q takes %d blocks, want %d", dense, got, want)
	}
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var s syscall.Stat_t
	if err := syscall.Lstat(path, &s); err != nil {
		t.Fatal(err)
	}
	return s.Blocks
}
