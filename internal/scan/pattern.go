package scan

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
)

// pattern is one line of a gitignore file, compiled. It matches bytes, in any
// encoding. The semantics are git's own (dir.c, wildmatch.c), also where
// its manual is silent; a test compares them with `git check-ignore`.
type pattern struct {
	negate   bool // "!": what matches is not excluded
	dirOnly  bool // trailing slash
	nameOnly bool // no other slash: compared with the last name of a path
	form     form
	literal  string  // the whole (formExact), the end (formSuffix) or the beginning (formGlob)
	tokens   []token // what follows the literal in formGlob
}

type form uint8

const (
	formNever  form = iota // malformed: matches nothing, as in git
	formExact              // no wildcard
	formSuffix             // "*" and a literal
	formGlob
)

type token struct {
	op  op
	b   byte
	set *[256]bool
}

type op uint8

const (
	opByte op = iota
	opAny     // ?: a byte but a slash
	opSet     // [...]: likewise
	opStar    // *: bytes but slashes
	opDirs    // **/: nothing, or anything that ends in a slash
	opDeep    // ** before an escaped slash: anything
	opRest    // ** at the end: the rest
)

// ParseExcludes splits the content of an exclude file into patterns: without
// comments, empty lines, carriage returns before newlines, a byte order mark and
// trailing spaces that are not escaped.
func ParseExcludes(text []byte) (patterns []string) {
	for _, line := range excludeLines(text) {
		patterns = append(patterns, line)
	}
	return patterns
}

// ParseExcludeFile is ParseExcludes for a file that a user has named: a pattern
// that matches nothing is an error, which names it with file and line. In an ignore
// file that the walk comes upon it is passed over, as in git.
func ParseExcludeFile(name string, text []byte) (patterns []string, err error) {
	for n, line := range excludeLines(text) {
		if err := CheckExclude(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		patterns = append(patterns, line)
	}
	return patterns, nil
}

// CheckExclude returns an error for a pattern that is malformed, or empty, so
// that it would match nothing.
func CheckExclude(pattern string) error {
	if compilePattern(pattern).form != formNever {
		return nil
	}
	if strings.Trim(pattern, "!/") == "" {
		return fmt.Errorf("pattern %q is empty and would match nothing", pattern)
	}
	return fmt.Errorf(`pattern %q can't be understood: look for a [ without its ], or a \ at the end (\[ stands for the character itself)`, pattern)
}

// excludeLines yields the patterns of an exclude file with their line numbers,
// which begin at 1.
func excludeLines(text []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.SplitSeq(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))), "\n") {
			n++
			line = trimSpaces(strings.TrimSuffix(line, "\r"))
			if line != "" && line[0] != '#' && !yield(n, line) {
				return
			}
		}
	}
}

// trimSpaces cuts trailing spaces, but for one after a backslash.
func trimSpaces(s string) string {
	end := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(s))
	}
	return s[:end]
}

func compilePatterns(lines []string) []pattern {
	var ps []pattern
	for _, line := range lines {
		if p := compilePattern(line); p.form != formNever {
			ps = append(ps, p)
		}
	}
	return ps
}

const wildcards = `*?[\`

func compilePattern(s string) pattern {
	var p pattern
	s, p.negate = strings.CutPrefix(s, "!")
	s, p.dirOnly = strings.CutSuffix(s, "/")
	if strings.IndexByte(s, 0) >= 0 {
		return p
	}
	p.nameOnly = !strings.Contains(s, "/")
	s = strings.TrimPrefix(s, "/")
	wild := strings.IndexAny(s, wildcards)
	switch {
	case s == "":
		return p
	case wild < 0:
		p.form, p.literal = formExact, s
		return p
	case p.nameOnly && s[0] == '*' && !strings.ContainsAny(s[1:], wildcards):
		p.form, p.literal = formSuffix, s[1:]
		return p
	}
	// git strips the literal beginning first, so that a ** right after it
	// counts as one at the beginning of the pattern. So do we.
	p.literal = s[:wild]
	var ok bool
	if p.tokens, ok = compileTokens(s[wild:], !p.nameOnly); ok {
		p.form = formGlob
	}
	return p
}

func compileTokens(s string, path bool) ([]token, bool) {
	var ts []token
	for i := 0; i < len(s); {
		switch s[i] {
		case '*':
			t, n := compileStars(s, i, path)
			ts = append(ts, t)
			i += n
		case '?':
			ts = append(ts, token{op: opAny})
			i++
		case '[':
			set, n := compileSet(s[i:])
			if set == nil {
				return nil, false
			}
			ts = append(ts, token{op: opSet, set: set})
			i += n
		case '\\':
			if i++; i == len(s) {
				return nil, false
			}
			fallthrough
		default:
			ts = append(ts, token{op: opByte, b: s[i]})
			i++
		}
	}
	return ts, true
}

// compileStars compiles the stars at s[i:] and returns how many bytes they take.
func compileStars(s string, i int, path bool) (token, int) {
	end := i
	for end < len(s) && s[end] == '*' {
		end++
	}
	rest := s[end:]
	if end-i > 1 && path && (i == 0 || s[i-1] == '/') {
		switch {
		case rest == "":
			return token{op: opRest}, end - i
		case rest[0] == '/':
			return token{op: opDirs}, end - i + 1
		case strings.HasPrefix(rest, `\/`):
			return token{op: opDeep}, end - i
		}
	}
	return token{op: opStar}, end - i
}

// match reports whether the pattern matches path, whose last name is name.
func (p *pattern) match(path, name []byte, dir bool) bool {
	if p.dirOnly && !dir {
		return false
	}
	if p.nameOnly {
		path = name
	}
	switch p.form {
	case formExact:
		return string(path) == p.literal
	case formSuffix:
		return len(path) >= len(p.literal) && string(path[len(path)-len(p.literal):]) == p.literal
	case formGlob:
		n := len(p.literal)
		return len(path) >= n && string(path[:n]) == p.literal && globMatch(p.tokens, path[n:])
	}
	return false
}
