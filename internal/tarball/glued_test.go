package tarball_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// stored is what the script stores of a folder.
type stored struct{ archive, sum, list []byte }

// script runs the script's own pipeline on a folder, with at most perTar names on a
// command line of tar; 0 leaves that to xargs.
func script(t testing.TB, dir string, perTar int) (s stored) {
	t.Helper()
	storagetest.Program(t, "parallel")
	xargs := "xargs -0"
	if perTar > 0 {
		xargs = fmt.Sprintf("xargs -0 -n %d", perTar)
	}
	shell := func(command string) []byte {
		cmd := exec.Command("bash", "-c", `set -Eeuo pipefail
files=$(find . -type f | sed 's/^\.\///g'); files=$(echo "$files" | LC_ALL=C sort); `+command)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	s.archive = shell(`echo "$files" | tr '\n' '\0' | ` + xargs + ` tar -zcf - --`)
	s.sum = shell(`hash=$(echo "$files" | tr '\n' '\0' | parallel -0 -k -m md5sum -- | md5sum | awk '{ print $1 }'); echo "$hash"`)
	s.list = shell(`echo "$files"`)
	return s
}

// put stores them under a key, in the script's order.
func (s stored) put(t testing.TB, to storage.Storage, key string) {
	t.Helper()
	for _, o := range []struct {
		suffix string
		data   []byte
	}{{"", s.archive}, {tarball.SumSuffix, s.sum}, {tarball.ListSuffix, s.list}} {
		if o.data == nil {
			continue
		}
		if _, err := to.Put(t.Context(), key+o.suffix, bytes.NewReader(o.data), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// folder writes files into a temporary folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// many are n files, in folders with names that are hard to handle.
func many(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("%s/file number %05d", []string{"plain", "with space", "-dash", "ünïcode", `quo"te'd`}[i%5], i)] = fmt.Sprintf("content of %d\n", i)
	}
	return files
}

// The archive of a folder with many files is several tars glued together. All of
// their members are there, and a reader of one tar shows why that matters.
func TestGlued(t *testing.T) {
	const n = 5000
	s := script(t, folder(t, many(n)), 700)
	ms, err := tarball.NewMembers(bytes.NewReader(s.archive))
	if err != nil {
		t.Fatal(err)
	}
	defer ms.Close()
	var names []string
	for {
		m, err := ms.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, m.Name)
		text, err := io.ReadAll(ms)
		if err != nil || !strings.HasSuffix(m.Name, fmt.Sprintf("%05s", strings.TrimSuffix(strings.TrimPrefix(string(text), "content of "), "\n"))) &&
			!strings.HasPrefix(string(text), "content of ") {
			t.Fatalf("%s holds %q, %v", m.Name, text, err)
		}
	}
	if list := strings.Split(strings.TrimSuffix(string(s.list), "\n"), "\n"); !slices.Equal(names, list) {
		t.Errorf("%d members, %d files in the list", len(names), len(list))
	}
	if len(names) != n || ms.Tars() != 8 {
		t.Errorf("%d files in %d tars, want %d in 8", len(names), ms.Tars(), n)
	}
	gz, err := gzip.NewReader(bytes.NewReader(s.archive))
	if err != nil {
		t.Fatal(err)
	}
	one, plain := 0, tar.NewReader(gz)
	for _, err = plain.Next(); err == nil; _, err = plain.Next() {
		one++
	}
	if one != 700 {
		t.Errorf("a reader of one tar finds %d files: the archive is not what this test is about", one)
	}
}

// small is an archive of two tars, by the standard library.
func small(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	for i := range 2 {
		gz := gzip.NewWriter(&out)
		w := tar.NewWriter(gz)
		text := strings.Repeat("x", 700)
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d/%d", i), Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		if err := errors.Join(w.Close(), gz.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// read goes through an archive to its end or an error, and returns what is in it.
func read(data []byte) (members []string, err error) {
	ms, err := tarball.NewMembers(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer ms.Close()
	for {
		m, err := ms.Next()
		if err == io.EOF {
			return members, nil
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(io.LimitReader(ms, 1<<20))
		}
		if err != nil {
			return members, err
		}
		members = append(members, fmt.Sprintf("%+v: %s", *m, text))
	}
}

// An archive that was cut anywhere is damaged, unless it is cut between two
// tars: only the list tells then.
func TestCut(t *testing.T) {
	data := small(t)
	if list, err := read(data); len(list) != 2 || err != nil {
		t.Fatalf("%q, %v", list, err)
	}
	whole := 0
	for i := range data {
		list, err := read(data[:i])
		switch {
		case err == nil && len(list) == 1:
			whole++
		case i == 0 && errors.Is(err, io.EOF):
		case !errors.Is(err, tarn.ErrDamaged):
			t.Errorf("cut at %d of %d: %q, %v", i, len(data), list, err)
		}
	}
	if whole != 1 {
		t.Errorf("%d cuts leave one tar whole, want 1", whole)
	}
}

// A changed bit is found by the checksum of gzip at the latest, unless it means
// nothing: where another distance copies the same zeros, say.
func TestFlipped(t *testing.T) {
	data := small(t)
	want, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		list, err := read(bad)
		if err == nil && !slices.Equal(list, want) {
			t.Errorf("byte %d of %d: %q, no error", i, len(data), list)
		}
		if err != nil {
			found++
		}
	}
	if found < len(data)/2 {
		t.Errorf("%d of %d changed bits are found", found, len(data))
	}
}

// Whatever an archive says, reading it ends, without a panic.
func FuzzMembers(f *testing.F) {
	data := small(f)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte{})
	var plain bytes.Buffer
	gz, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := io.Copy(&plain, gz); err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		read(raw)
		var packed bytes.Buffer // of what is no gzip, the tars in it are of interest
		w := gzip.NewWriter(&packed)
		w.Write(raw)
		w.Close()
		read(packed.Bytes())
	})
}
