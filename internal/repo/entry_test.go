package repo

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

// name draws a component: mostly short, with the bytes that formats trip over.
func name(t *rapid.T, label string) string {
	if rapid.Bool().Draw(t, "plain") {
		return rapid.StringMatching(`[a-zäß日 ]{1,4}`).Draw(t, label)
	}
	odd := rapid.SampledFrom([]string{
		"a", "Z", "0", "é", "日", "🏔", ".", "-rf", " ", "\"", "\\", "'", "\n", "\t", "\r", "\x01", "\x1f", "\x7f", "\x80", "\xff", "\xc3", "\xed\xa0\x80",
		"%", "~", "$", "`", "*", ":", "\u2028", "\uFFFD", "\uFFFE", "\u0085", "<", "&", "{", "\\n", "\\303",
	})
	s := strings.Join(rapid.SliceOfN(odd, 1, 6).Draw(t, label), "")
	if s == "." || s == ".." {
		return s + "x"
	}
	return s
}

func entryPath(t *rapid.T) string {
	parts := []string{}
	for range rapid.IntRange(1, 4).Draw(t, "depth") {
		parts = append(parts, name(t, "component"))
	}
	return strings.Join(parts, "/")
}

func contentHash(t *rapid.T, label string) (h tarn.ContentHash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
	h[7] |= 1 // not zero
	return h
}

func timespec(t *rapid.T, label string) tarn.Timespec {
	sec := rapid.OneOf(rapid.Int64Range(-10, 10), rapid.Int64Range(0, 4e9), rapid.Int64()).Draw(t, label)
	return tarn.Timespec{Sec: sec, Nsec: rapid.OneOf(rapid.Just(int32(0)), rapid.Int32Range(0, 1e9-1)).Draw(t, label+" nsec")}
}

// entry draws any entry that checkEntry accepts.
func entry(t *rapid.T) tarn.Entry {
	types := []tarn.Type{tarn.TypeFile, tarn.TypeDir, tarn.TypeSymlink, tarn.TypeFIFO, tarn.TypeSocket, tarn.TypeChar, tarn.TypeBlock}
	e := tarn.Entry{
		Path: entryPath(t), Type: rapid.SampledFrom(types).Draw(t, "type"), Mode: rapid.Uint32Range(0, 0o7777).Draw(t, "mode"),
		UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid"),
		MTime: timespec(t, "mtime"), CTime: timespec(t, "ctime"), Inode: rapid.Uint64().Draw(t, "inode"), Sparse: rapid.Bool().Draw(t, "sparse"),
	}
	if rapid.Bool().Draw(t, "named") {
		e.User = strings.ToValidUTF8(name(t, "user"), "?")
		e.Group = strings.ToValidUTF8(name(t, "group"), "?")
	}
	switch e.Type {
	case tarn.TypeFile:
		if e.Size = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 1<<62)).Draw(t, "size"); e.Size > 0 {
			e.Content = contentHash(t, "content")
			for left := e.Size; left > 0 && rapid.Bool().Draw(t, "more"); {
				x := tarn.Extent{Content: contentHash(t, "extent"), Offset: rapid.Int64Range(0, 1<<62).Draw(t, "offset"), Length: rapid.Int64Range(1, left).Draw(t, "length")}
				if len(e.Extents) == 3 {
					x.Length = left
				}
				e.Extents, left = append(e.Extents, x), left-x.Length
				if left > 0 && len(e.Extents) == 3 {
					e.Extents[2].Length += left
					break
				}
			}
			if n := len(e.Extents); n > 0 { // they sum to the size
				sum := int64(0)
				for _, x := range e.Extents {
					sum += x.Length
				}
				e.Extents[n-1].Length += e.Size - sum
			}
		}
	case tarn.TypeSymlink:
		e.Target = entryPath(t)
	case tarn.TypeChar, tarn.TypeBlock:
		e.Major, e.Minor = rapid.Uint32().Draw(t, "major"), rapid.Uint32().Draw(t, "minor")
	}
	if rapid.Bool().Draw(t, "common") {
		e.MTime.Sec, e.CTime.Sec, e.Extents = max(e.MTime.Sec, 0)&(1<<40-1), max(e.CTime.Sec, 0)&(1<<40-1), nil
	}
	names := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string { return strings.ToValidUTF8(name(t, "xattr"), "?") }), 0, 3, func(s string) string { return s }).Draw(t, "xattrs")
	slices.Sort(names)
	for _, n := range names {
		e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: n, Value: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")})
	}
	return e
}

// plain makes nil and empty values alike, which mean the same.
func plain(e tarn.Entry) tarn.Entry {
	e.Xattrs = slices.Clone(e.Xattrs)
	for i := range e.Xattrs {
		e.Xattrs[i].Value = append([]byte{}, e.Xattrs[i].Value...)
	}
	if len(e.Xattrs) == 0 {
		e.Xattrs = nil
	}
	if len(e.Extents) == 0 {
		e.Extents = nil
	}
	return e
}

func same(a, b tarn.Entry) bool { return reflect.DeepEqual(plain(a), plain(b)) }

// parseSlow is ParseEntry without the fast way.
func parseSlow(line []byte, e *tarn.Entry) error {
	var j entryJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return err
	}
	return j.entry(e)
}

// TestEntryRoundTrip: any entry comes back from its line as it was, and both
// parsers read the same.
func TestEntryRoundTrip(t *testing.T) {
	fast := 0
	rapid.Check(t, func(rt *rapid.T) {
		e := entry(rt)
		line := AppendEntry(nil, &e)
		if !utf8.Valid(line) || strings.Count(string(line), "\n") != 1 || line[len(line)-1] != '\n' {
			rt.Fatalf("line %q", line)
		}
		var got, slow tarn.Entry
		if err := ParseEntry(line, &got); err != nil {
			rt.Fatalf("%q: %v", line, err)
		}
		if !same(got, e) {
			rt.Fatalf("%q:\n got %+v\nwant %+v", line, got, e)
		}
		if err := parseSlow(line, &slow); err != nil || !same(slow, e) {
			rt.Fatalf("%q by encoding/json:\n got %+v, %v\nwant %+v", line, slow, err, e)
		}
		if parseCanonical(line, &got) {
			fast++
		}
	})
	if fast == 0 {
		t.Error("the fast parser took no line")
	}
}

// differ compares the two parsers over a line that may be anything.
func differ(t testing.TB, line []byte) {
	var fast, slow, both tarn.Entry
	ok := parseCanonical(line, &fast)
	err := parseSlow(line, &slow)
	if ok && (err != nil || !same(fast, slow)) {
		t.Errorf("%q:\nfast %+v\nslow %+v, %v", line, fast, slow, err)
	}
	if err == nil {
		err = checkEntry(&slow)
	}
	if got := ParseEntry(line, &both); (got == nil) != (err == nil) || err == nil && !same(both, slow) {
		t.Errorf("%q: ParseEntry gives %+v, %v; encoding/json %+v, %v", line, both, got, slow, err)
	}
	if err != nil {
		return
	}
	if !tarn.ValidPath(both.Path) {
		t.Errorf("%q: accepted the path %q", line, both.Path)
	}
	again := both
	if err := ParseEntry(AppendEntry(nil, &both), &again); err != nil || !same(again, both) {
		t.Errorf("%q: written and read again: %+v, %v, want %+v", line, again, err, both)
	}
}

// TestParsersAgree holds the parsers together over lines with one byte changed,
// removed or doubled.
func TestParsersAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := entry(rt)
		line := AppendEntry(nil, &e)
		i := rapid.IntRange(0, len(line)-1).Draw(rt, "at")
		switch rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			line[i] = rapid.Byte().Draw(rt, "byte")
		case 1:
			line = slices.Delete(line, i, i+1)
		case 2:
			line = slices.Insert(line, i, line[i])
		}
		var fast, slow tarn.Entry
		if parseCanonical(line, &fast) {
			if err := parseSlow(line, &slow); err != nil || !same(fast, slow) {
				rt.Fatalf("%q:\nfast %+v\nslow %+v, %v", line, fast, slow, err)
			}
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for _, e := range goldenEntries() {
		f.Add(AppendEntry(nil, &e))
	}
	for _, s := range []string{
		`{}`, `{"path":"a","type":"file","mode":"0644","size":1}`, `{"path":"../a","type":"dir","mode":"0755"}`,
		`{"path":"a","path_raw":"\\056\\056/b","type":"dir","mode":"0755"}`, `{"path":"a","path_raw":"\\99","type":"dir","mode":"0755"}`,
		`{"path":"a","type":"dir","mode":"0755","uid":4294967296}`, `{"path":"a","type":"dir","mode":"0755","uid":01}`,
		`{"PATH":"a","Type":"dir","mode":"755","mtime":"-0.5"}`, `{"path":"a","type":"dir","mode":"0755","mtime":"-9223372036854775808.000000001"}`,
		`{"path":"a","type":"dir","mode":"0755","xattrs":{"b":"","a":""}}`, `{"path":"a","type":"dir","mode":"0755","xattrs":{"a":"QQ=="},"sparse":true}` + "\n",
		`{"path":"a\ud800","type":"dir","mode":"0755"}`, "{\"path\":\"a\xff\",\"type\":\"dir\",\"mode\":\"0755\"}",
		`{"path":"a","type":"file","mode":"0644","size":3,"content":"` + strings.Repeat("0a", 32) + `","extents":[["` + strings.Repeat("0b", 32) + `",0,3]]}`,
		`{"path":"a","type":"file","mode":"0644","size":3,"content":null,"extents":[[]],"device":[1]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) { differ(t, line) })
}
