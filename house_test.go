package tarn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowed maps each package of the module to the module's packages that it may
// import. A package that is missing here fails the test, so that adding one is
// a decision on record.
var allowed = map[string][]string{
	".":                            {},
	"internal/durable":             {},
	"internal/scan":                {"."},
	"internal/archive":             {"."},
	"internal/price":               {"."},
	"internal/storage":             {"."},
	"internal/storage/local":       {".", "internal/storage", "internal/durable"},
	"internal/storage/s3":          {".", "internal/storage"},
	"internal/storage/storagetest": {".", "internal/storage"},
	"internal/s3lab":               {},
	"internal/repo":                {".", "internal/archive", "internal/storage"},
	"internal/catalog":             {".", "internal/durable"},
	"internal/machine":             {".", "internal/durable"},
	"internal/warm":                {".", "internal/repo", "internal/catalog"},
	"internal/browse":              {".", "internal/repo", "internal/catalog"},
	"internal/rebuild":             {".", "internal/archive", "internal/repo", "internal/storage", "internal/catalog"},
	"internal/bill":                {".", "internal/storage", "internal/price"},
	"internal/cold":                {".", "internal/storage", "internal/price"},
	"internal/backup":              {".", "internal/scan", "internal/archive", "internal/repo", "internal/storage", "internal/price", "internal/catalog"},
	"internal/restore":             {".", "internal/archive", "internal/repo", "internal/storage", "internal/cold", "internal/catalog"},
	"internal/check":               {".", "internal/archive", "internal/repo", "internal/storage", "internal/catalog"},
	"internal/drill":               {".", "internal/archive", "internal/repo", "internal/storage", "internal/cold", "internal/catalog"},
	"internal/prune":               {".", "internal/repo", "internal/storage", "internal/price"},
	"internal/tarball":             {".", "internal/durable", "internal/scan", "internal/storage", "internal/price", "internal/cold"},
	"internal/cloud/guard":         {},
	"internal/caption":             {"."},
	"internal/web":                 {"."},
	"internal/cloud":               {".", "internal/price"},
	"internal/e2e":                 {"*"}, // imported by tests only
	"internal/bench":               {"internal/s3lab"},
	"cmd/tarn":                     {"*"},
}

const maxLines = 800 // of a file that is not a test

func TestHouse(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,GoFiles,Module", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; seen++ {
		var p struct {
			ImportPath, Dir, Doc string
			Imports, GoFiles     []string
			Module               struct{ Path string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		rel := func(path string) (string, bool) {
			if path == p.Module.Path {
				return ".", true
			}
			return strings.CutPrefix(path, p.Module.Path+"/")
		}
		name, _ := rel(p.ImportPath)
		may, known := allowed[name]
		if !known {
			t.Errorf("%s: not in the table of packages", name)
		}
		if p.Doc == "" {
			t.Errorf("%s: no package comment", name)
		}
		for _, path := range p.Imports {
			if imp, ours := rel(path); ours && !slices.Contains(may, imp) && !slices.Contains(may, "*") {
				t.Errorf("%s may not import %s", name, imp)
			}
		}
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(b, []byte("\n")); n > maxLines {
				t.Errorf("%s/%s: %d lines, limit %d", name, f, n, maxLines)
			}
		}
	}
	if seen == 0 {
		t.Error("go list named no package")
	}
}
