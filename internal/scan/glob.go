package scan

import "bytes"

// globMatch reports whether the tokens match all of text. On a mismatch it
// goes back to the last star only, and from there to the last of the tokens
// that match slashes: what comes between two such tokens may as well match as early as
// it can, so earlier ones need no second try. That bounds the time by the
// product of the lengths, where the usual recursion is exponential.
func globMatch(ts []token, text []byte) bool {
	t, x := 0, 0
	star, starX := -1, 0
	deep, deepX := -1, 0
	for {
		if t == len(ts) && x == len(text) {
			return true
		}
		if t < len(ts) {
			switch tok := &ts[t]; tok.op {
			case opRest:
				return true
			case opStar:
				star, starX = t, x
				t++
				continue
			case opDirs, opDeep:
				deep, deepX, star = t, x, -1
				t++
				continue
			default:
				if x < len(text) && tok.matches(text[x]) {
					t++
					x++
					continue
				}
			}
		}
		switch {
		case star >= 0 && starX < len(text) && text[starX] != '/':
			starX++
			t, x = star+1, starX
		case deep >= 0:
			if deepX = deeper(ts[deep].op, text, deepX); deepX < 0 {
				return false
			}
			t, x, star = deep+1, deepX, -1
		default:
			return false
		}
	}
}

// deeper returns where the token ends if it takes the least more than up to x, or -1.
func deeper(o op, text []byte, x int) int {
	if o == opDeep {
		if x == len(text) {
			return -1
		}
		return x + 1
	}
	i := bytes.IndexByte(text[x:], '/')
	if i < 0 {
		return -1
	}
	return x + i + 1
}

func (t *token) matches(b byte) bool {
	switch t.op {
	case opByte:
		return t.b == b
	case opAny:
		return b != '/'
	}
	return b != '/' && t.set[b]
}

// compileSet compiles the bracket expression that s begins with and returns
// its length, or nil if it is malformed.
func compileSet(s string) (*[256]bool, int) {
	set := new([256]bool)
	i := 1
	negate := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negate {
		i++
	}
	prev := -1 // where a range may begin
	for first := true; ; first = false {
		switch {
		case i >= len(s):
			return nil, 0
		case s[i] == ']' && !first:
			if negate {
				for b := range set {
					set[b] = !set[b]
				}
			}
			return set, i + 1
		case s[i] == '-' && prev >= 0 && i+1 < len(s) && s[i+1] != ']':
			if i++; s[i] == '\\' {
				if i++; i == len(s) {
					return nil, 0
				}
			}
			for b := prev; b <= int(s[i]); b++ {
				set[b] = true
			}
			prev = -1
			i++
		case s[i] == '[' && i+1 < len(s) && s[i+1] == ':':
			n, ok := addClass(set, s[i:])
			if !ok {
				return nil, 0
			}
			prev = -1
			if n == 1 {
				prev = '['
			}
			i += n
		default:
			if s[i] == '\\' {
				if i++; i == len(s) {
					return nil, 0
				}
			}
			set[s[i]] = true
			prev = int(s[i])
			i++
		}
	}
}

// addClass adds the class that s begins with, as in "[:alpha:]", and returns
// its length. A "[:" that no ":]" closes stands for its first byte alone.
func addClass(set *[256]bool, s string) (int, bool) {
	end := 2
	for end < len(s) && s[end] != ']' {
		end++
	}
	if end == len(s) {
		return 0, false
	}
	if end < 3 || s[end-1] != ':' {
		set['['] = true
		return 1, true
	}
	class, ok := classes[s[2:end-1]]
	if !ok {
		return 0, false
	}
	for b := range 128 {
		if class(byte(b)) {
			set[b] = true
		}
	}
	return end + 1, true
}

func within(lo, hi byte) func(byte) bool { return func(b byte) bool { return lo <= b && b <= hi } }

func either(fs ...func(byte) bool) func(byte) bool {
	return func(b byte) bool {
		for _, f := range fs {
			if f(b) {
				return true
			}
		}
		return false
	}
}

var (
	isDigit = within('0', '9')
	isLower = within('a', 'z')
	isUpper = within('A', 'Z')
	isAlpha = either(isLower, isUpper)
	isAlnum = either(isAlpha, isDigit)
	isGraph = within('!', '~')
)

// classes are the POSIX character classes of the C locale.
var classes = map[string]func(byte) bool{
	"alnum":  isAlnum,
	"alpha":  isAlpha,
	"blank":  func(b byte) bool { return b == ' ' || b == '\t' },
	"cntrl":  func(b byte) bool { return b < ' ' || b == 0x7f },
	"digit":  isDigit,
	"graph":  isGraph,
	"lower":  isLower,
	"print":  within(' ', '~'),
	"punct":  func(b byte) bool { return isGraph(b) && !isAlnum(b) },
	"space":  func(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' },
	"upper":  isUpper,
	"xdigit": either(isDigit, within('a', 'f'), within('A', 'F')),
}
