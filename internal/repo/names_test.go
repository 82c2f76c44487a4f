package repo

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

// splitPath draws paths, long components among them.
func splitPath(t *rapid.T) string {
	p := entryPath(t)
	if rapid.Bool().Draw(t, "long") {
		unit := rapid.SampledFrom([]string{"x", "é", "日", "\n", "\xff", ".", " ", "~", "%41"}).Draw(t, "unit")
		p += strings.Repeat(unit, rapid.IntRange(1, 300).Draw(t, "times"))
	}
	for rapid.IntRange(0, 3).Draw(t, "deeper") > 0 && len(p) < 2000 {
		p += "/" + entryPath(t)
	}
	return p
}

// TestEscapeSplit: whatever a split's path is, its key is one that file
// systems and S3 take, and no two have the same.
func TestEscapeSplit(t *testing.T) {
	paths := map[string]string{}
	rapid.Check(t, func(rt *rapid.T) {
		split := splitPath(rt)
		key := escapeSplit(split)
		if len(key) > maxSplitKey || !utf8.ValidString(key) || strings.HasPrefix(key, "/") {
			rt.Fatalf("%q: %q", split, key)
		}
		for c := range strings.SplitSeq(key, "/") {
			if c == "" || c == "." || c == ".." || len(c) > maxComponent || strings.HasSuffix(c, ".") || strings.HasSuffix(c, " ") {
				rt.Fatalf("%q: component %q of %q", split, c, key)
			}
		}
		if i := strings.IndexFunc(key, unicode.IsControl); i >= 0 || strings.ContainsAny(key, `\:*?"<>|`) {
			rt.Fatalf("%q: %q", split, key)
		}
		if other, ok := paths[key]; ok && other != split {
			rt.Fatalf("%q and %q have the key %q", split, other, key)
		}
		paths[key] = split
	})
	for _, pair := range [][2]string{{"a%", "a%25"}, {"a.", "a%2E"}, {"a\n", "a%0A"}, {"a/b", "a%2Fb"}, {strings.Repeat("x", 201), strings.Repeat("x", 202)}} {
		if escapeSplit(pair[0]) == escapeSplit(pair[1]) {
			t.Errorf("%.20q and %.20q have one key", pair[0], pair[1])
		}
	}
}

// TestArchiveKeys: an archive's key names it, and in an encrypted repository
// nothing else.
func TestArchiveKeys(t *testing.T) {
	id := tarn.ArchiveID("20261123T024639Z-00f1a2b3c4d5e6f7")
	for _, encryption := range []string{"none", "age"} {
		r := &Repo{Config: Config{Encryption: encryption}}
		rapid.Check(t, func(rt *rapid.T) {
			split := splitPath(rt)
			key := r.ArchiveKey(split, id)
			if got, err := r.archiveOf(key); err != nil || got != id {
				rt.Fatalf("%q: %v, %v", key, got, err)
			}
			if encryption == "age" && key != r.ArchiveKey("other", id) {
				rt.Fatalf("%q tells the split %q", key, split)
			}
		})
	}
}

func TestRaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.OneOf(rapid.Custom(entryPath), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(rt, "s")
		raw := string(appendRaw(nil, s))
		for _, c := range []byte(raw) {
			if c < 0x21 || c > 0x7e || c == '\'' || c == '"' {
				rt.Fatalf("%q: raw form %q", s, raw)
			}
		}
		if s != "" {
			if got, err := fromRaw("ignored", raw); err != nil || got != s {
				rt.Fatalf("%q: %q gives %q, %v", s, raw, got, err)
			}
		}
		if (rawOf(s) == "") != utf8.ValidString(s) {
			rt.Fatalf("%q: rawOf gives %q", s, rawOf(s))
		}
		if got, err := fromRaw(strings.ToValidUTF8(s, "\uFFFD"), rawOf(s)); err != nil || got != s {
			rt.Fatalf("%q comes back as %q, %v", s, got, err)
		}
	})
	for _, raw := range []string{`\`, `\0`, `\01`, `\400`, `\08x`, `\x41`, `\ 11`, `abc\37`} {
		if got, err := fromRaw("", raw); err == nil {
			t.Errorf("%q gives %q", raw, got)
		}
	}
}

// TestSeal: what is sealed opens by its key and label alone, and no byte of it
// can be changed.
func TestSeal(t *testing.T) {
	type object struct {
		A string         `json:"a"`
		B map[string]int `json:"b,omitempty"`
	}
	rapid.Check(t, func(rt *rapid.T) {
		key := Key(contentHash(rt, "key"))
		if rapid.Bool().Draw(rt, "no key") {
			key = Key{}
		}
		want := object{A: rapid.String().Draw(rt, "a")}
		data, err := seal(key, labelKeys, &want)
		if err != nil {
			rt.Fatal(err)
		}
		var got object
		if err := unseal(key, labelKeys, data, &got); err != nil || got.A != want.A {
			rt.Fatalf("%q: %+v, %v", data, got, err)
		}
		other := key
		other[3] ^= 1
		if unseal(other, labelKeys, data, &got) == nil || unseal(key, labelSnapshot, data, &got) == nil {
			rt.Fatal("opened by another key or label")
		}
		changed := bytes.Clone(data)
		i := rapid.IntRange(0, len(data)-1).Draw(rt, "at")
		changed[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		if strings.EqualFold(string(changed), string(data)) {
			return // an upper-case digit of the MAC is the same MAC
		}
		if unseal(key, labelKeys, changed, &got) == nil {
			rt.Fatalf("%q opens as %q does", changed, data)
		}
		if unseal(key, labelKeys, data[:i], &got) == nil || unseal(key, labelKeys, append(changed[:0:0], append(data, '\n')...), &got) == nil {
			rt.Fatal("a cut or longer one opens")
		}
	})
}
