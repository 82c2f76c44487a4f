package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, match, none string // paths, by spaces; a trailing slash: a directory
	}{
		{"a", "a x/a a/", "b ab x/ab"},
		{"/a", "a", "x/a"},
		{"a/b", "a/b", "x/a/b"},
		{"a/", "a/ x/a/", "a x/a"},
		{"*.jpg", "x.jpg a/.jpg", "x.jpgs"},
		{"a*b", "ab axb x/axxb", "a/b axbc"},
		{"a/*b", "a/b a/xb", "a/x/b"},
		{"?", "a x/b", "ab"},
		{"a?b/", "axb/", "a/b/ ab/"},
		{"**/a", "a x/a x/y/a", "xa x/ya"},
		{"a/**", "a/x a/x/y", "a/ b/a/x"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "ab x/a/b a/bb"},
		{"a**b", "ab axb", "a"},
		{"x/a**b", "x/ab x/ayb", "x/a/b"},
		{"**", "a a/b", ""},
		{"/**/", "a/ a/b/", "a"},
		{"[a-c]x", "ax cx", "dx"},
		{"[!a-c]x", "dx", "ax"},
		{"[^a]", "b", "a"},
		{"[]a]", "] a", "b"},
		{"[a-]", "a -", "b"},
		{"[[:digit:]x]", "1 x", "a"},
		{"[[:nix:]]", "", "n i :"},
		{"[a", "", "[a a"},
		{`\*`, "*", "a"},
		{`\#a`, "#a", "a"},
		{`\!a`, "!a", "a"},
		{`a\`, "", `a\ a`},
		{`[\]]`, "]", `\`},
		{"", "", "a"},
		{"/", "", "a/ a"},
		{"a//b", "", "a/b"},
	} {
		p := compilePattern(c.pattern)
		for want, paths := range map[bool]string{true: c.match, false: c.none} {
			for path := range strings.FieldsSeq(paths) {
				path, dir := strings.CutSuffix(path, "/")
				_, name := cut(path)
				if got := p.match([]byte(path), []byte(name), dir); got != want {
					t.Errorf("%q on %q (directory %v): %v", c.pattern, path, dir, got)
				}
			}
		}
	}
}

func TestParseExcludes(t *testing.T) {
	got := ParseExcludes([]byte("\xef\xbb\xbf# comment\r\n\na  \n\\#b\r\nc\\ \n \nd\\\n e\t\n!f"))
	want := []string{"a", `\#b`, `c\ `, `d\`, " e\t", "!f"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPathological(t *testing.T) {
	long := strings.Repeat("a", 4000)
	deep := strings.Repeat("a/", 2000) + "a"
	for _, pattern := range []string{
		strings.Repeat("*a", 100) + "b", strings.Repeat("a*", 100) + "b", "x/" + strings.Repeat("*a", 100) + "b",
		strings.Repeat("**/a/", 50) + "b", strings.Repeat("**/*a*", 50) + "/b", strings.Repeat("**/", 1000) + "b", strings.Repeat("*/", 1000) + "b",
		strings.Repeat("[!b]*", 100) + "b", strings.Repeat("a/**/", 50) + "*a*a*b",
	} {
		// Exponential time would not end while the test is patient.
		p := compilePattern(pattern)
		for _, path := range []string{long, deep, "x/" + long, deep + long} {
			_, name := cut(path)
			if p.match([]byte(path), []byte(name), true) {
				t.Errorf("%.20q… matches %.20q…", pattern, path)
			}
		}
	}
}

// slowMatch is globMatch by trying everything.
func slowMatch(ts []token, text []byte) bool {
	if len(ts) == 0 {
		return len(text) == 0
	}
	switch t := ts[0]; t.op {
	case opRest:
		return true
	case opStar:
		for i := 0; ; i++ {
			if slowMatch(ts[1:], text[i:]) {
				return true
			}
			if i == len(text) || text[i] == '/' {
				return false
			}
		}
	case opDirs, opDeep:
		for i := range len(text) + 1 {
			if (t.op == opDeep || i == 0 || text[i-1] == '/') && slowMatch(ts[1:], text[i:]) {
				return true
			}
		}
		return false
	default:
		return len(text) > 0 && t.matches(text[0]) && slowMatch(ts[1:], text[1:])
	}
}

func FuzzIgnore(f *testing.F) {
	f.Add([]byte("*.o\n!keep.o\n/a/**/b\n[[:alpha:]-z]\\ \n"), []byte("a/x/b"), true)
	f.Add([]byte("a*a*a*b"), []byte("aaaaaaaaaaaa"), false)
	f.Add([]byte("foo**/bar\n**\\/x\n[\\"), []byte("foo/bar"), false)
	f.Fuzz(func(t *testing.T, text, path []byte, dir bool) {
		lines := ParseExcludes(text)
		ps := compilePatterns(lines)
		if len(ps) > len(lines) {
			t.Fatalf("%d patterns of %d lines", len(ps), len(lines))
		}
		_, last := cut(string(path))
		for i := range ps {
			p := &ps[i]
			got := p.match(path, []byte(last), dir)
			if p.form != formGlob || len(p.tokens) > 8 || len(path) > 40 {
				continue
			}
			text := path
			if p.nameOnly {
				text = []byte(last)
			}
			rest, ok := strings.CutPrefix(string(text), p.literal)
			want := ok && (dir || !p.dirOnly) && slowMatch(p.tokens, []byte(rest))
			if got != want {
				t.Fatalf("%+v on %q: %v, want %v", *p, path, got, want)
			}
		}
	})
}

func TestNamesOrder(t *testing.T) {
	var n names
	var want []string
	for i := range 500 {
		name := fmt.Sprintf("IMG_%d%s", i*7919%1000, strings.Repeat("\x01", i%3))
		want = append(want, name)
		if err := n.add([]byte(name), kindOther, noLimit); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	n.sort(false)
	for i := range want {
		if string(n.at(i)) != want[i] || n.zeroed(i)[len(want[i])] != 0 {
			t.Fatalf("%d: %q, want %q", i, n.at(i), want[i])
		}
	}
}

// TestCheckExclude: whoever mistypes an exclude must hear of it, or what he
// wanted to leave out is stored.
func TestCheckExclude(t *testing.T) {
	for _, p := range []string{"a", "*.tmp", `\[`, "!a", "/a/", "[]]", "[!a]", "a[[:digit:]]", "**", " ", "a**b"} {
		if err := CheckExclude(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"", "/", "!", "!/", "[", "[]", "a[b", `a\`, "x[[:letter:]]", "*/[a-", "a\x00"} {
		if err := CheckExclude(p); err == nil {
			t.Errorf("%q is taken", p)
		}
	}
	got, err := ParseExcludeFile("f", []byte("# x\n\na\n!b\n"))
	if err != nil || !slices.Equal(got, []string{"a", "!b"}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ParseExcludeFile("f", []byte("# x\r\n\r\na\r\n[b\r\n")); err == nil || !strings.HasPrefix(err.Error(), `f:4: pattern "[b"`) {
		t.Errorf("%v", err)
	}
}
