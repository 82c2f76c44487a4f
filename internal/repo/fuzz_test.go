package repo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
)

// goldenObjects gives the golden repositories' objects of a kind.
func goldenObjects(f testing.TB, pattern string) (list [][]byte) {
	f.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "golden", pattern))
	if err != nil || len(names) == 0 {
		f.Fatal(pattern, names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, data)
	}
	return list
}

// wantIndexSane: what the parser of indexes lets through.
func wantIndexSane(t *testing.T, src []byte) {
	high, n := int64(0), int64(0)
	ix, err := parseIndex(bytes.NewReader(src), func(c Content) error {
		if c.Offset < high || c.Size <= 0 || c.Offset+c.Size < c.Offset || !tarn.ValidPath(c.Path) || c.Hash.IsZero() {
			t.Errorf("content %+v after %d", c, high)
		}
		high, n = c.Offset+c.Size, n+1
		return nil
	})
	if err != nil {
		return
	}
	sum := int64(0)
	for _, f := range ix.Layout.Frames {
		sum += int64(f.Uncompressed)
	}
	if high > ix.Layout.Size || n != ix.Contents || sum != ix.Layout.Size || ix.Layout.Stored < 0 {
		t.Errorf("accepted %+v", ix)
	}
}

// FuzzIndexLines: the lines of an index, which the fuzzer could not make
// through zstd.
func FuzzIndexLines(f *testing.F) {
	f.Add(golden(f, "index-plain.jsonl")[:2000])
	for _, z := range goldenObjects(f, "plain/indexes/*") {
		d, err := zstd.NewReader(bytes.NewReader(z))
		if err != nil {
			f.Fatal(err)
		}
		data, err := io.ReadAll(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"type":"archive","split_raw":"\\1"}` + "\n"))
	f.Add([]byte(`{"type":"archive"}` + "\n" + `{"type":"frames","frames":[[1,4294967295]]}` + "\n" + `{"type":"end","size":4294967295,"frames":1,"crc64nvme":"0"}` + "\n"))
	f.Fuzz(func(t *testing.T, lines []byte) { wantIndexSane(t, packed(t, lines)) })
}

// FuzzIndexObject: an index as it lies in the storage.
func FuzzIndexObject(f *testing.F) {
	for _, data := range goldenObjects(f, "plain/indexes/*") {
		f.Add(data)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Repo{}
		whole := bytes.NewReader(data)
		if err := r.verifyIndex(whole); err == nil && whole.Len() != 0 {
			t.Error("accepted before its end")
		}
		wantIndexSane(t, data)
	})
}

// FuzzTree: a tree as it lies in the storage.
func FuzzTree(f *testing.F) {
	for _, data := range goldenObjects(f, "plain/trees/*") {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Repo{}
		sp := Split{Path: "Pictures", Size: 1 << 20}
		_ = r.verifyTree(bytes.NewReader(data), sp)
		last := ""
		_ = eachEntry(t.Context(), bytes.NewReader(data), sp, r.key.newTreeHash(), func(e *tarn.Entry) bool {
			if !tarn.ValidPath(e.Path) || !tarn.Within(e.Path, sp.Path) || last != "" && tarn.ComparePaths(last, e.Path) >= 0 {
				t.Errorf("gave %q after %q", e.Path, last)
			}
			last = e.Path
			return true
		})
	})
}

// FuzzSnapshot: the body of a snapshot, sealed as it has to be.
func FuzzSnapshot(f *testing.F) {
	for _, data := range goldenObjects(f, "plain/snapshots/*") {
		f.Add(data[:len(data)-sealLen])
	}
	f.Add([]byte(`{"splits":[{"path":"","path_raw":"\\1"}]`))
	f.Add([]byte(`{"splits":null,"sources":[{"name_raw":"\\000"}],"format":2`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeSnapshot(Key{}, body); err == nil {
			t.Errorf("%q has no MAC", body)
		}
		h := Key{}.newMAC(labelSnapshot)
		h.Write(body)
		s, err := decodeSnapshot(Key{}, fmt.Appendf(bytes.Clone(body), `,"mac":"%x"}`+"\n", h.Sum(nil)))
		if err != nil {
			return
		}
		for i, sp := range s.Splits {
			if !tarn.ValidPath(sp.Path) || sp.Size < 0 || i > 0 && tarn.ComparePaths(s.Splits[i-1].Path, sp.Path) >= 0 {
				t.Errorf("%q: split %+v", body, sp)
			}
		}
		data, err := s.encode(Key{})
		if err != nil {
			return // a time beyond the year 9999
		}
		if again, err := decodeSnapshot(Key{}, data); err != nil || len(again.Splits) != len(s.Splits) {
			t.Errorf("written and read again: %v", err)
		}
	})
}

func FuzzConfig(f *testing.F) {
	for _, data := range goldenObjects(f, "*/tarn.json") {
		f.Add(data)
	}
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"id":"../../../../../../../../../../..","encryption":"none"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		if strings.Trim(c.ID, "0123456789abcdef") != "" || len(c.ID) != 32 || c.Format != 1 || (c.Encryption == "age") != (c.Key != "") {
			t.Errorf("%q: %+v", data, c)
		}
	})
}

// FuzzKeys: a keys object of anybody's. It never opens, and never becomes a
// source of recipients.
func FuzzKeys(f *testing.F) {
	for _, data := range goldenObjects(f, "age/keys/*") {
		f.Add(data)
		var k keysObject
		if err := json.Unmarshal(data, &k); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(k.Secret))
	}
	f.Add([]byte(`{"recipients":[{"identity":"x"}],"secret":"-----BEGIN AGE ENCRYPTED FILE-----"}`))
	s, r, owner := newRepository(f, true)
	id := tarn.KeysID("20991123T024639Z-00f1a2b3c4d5e6f7")
	ids, err := owner.load()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var sum keysObject
		if json.Unmarshal(data, &sum) == nil { // with a sum that is right
			data, _ = sealKeys(Key{1}, &sum)
		}
		s := s.Clone()
		s.Plant(keysKey(id), data)
		by := *r
		by.storage = s
		k, err := by.inForce(t.Context(), []tarn.KeysID{r.keys.id, id})
		if err != nil || k.id != r.keys.id {
			t.Errorf("%q is in force: %v", data, err)
		}
		if k, err := by.loadKeys(t.Context(), id); err != nil {
			t.Errorf("%q locks the owner out: %v", data, err)
		} else if k != nil {
			_, _, _ = k.openSecret(ids, &UI{})
			_, _ = k.direct()
		}
		s.Drop(configName)
		if by, err := Open(t.Context(), s, Options{Identities: owner.load, Fingerprint: owner.of}); err != nil || by.Config != r.Config {
			t.Errorf("%q in keys/ without tarn.json: %v", data, err)
		}
	})
}
