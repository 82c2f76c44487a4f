package scan

// rules are the patterns of one directory's ignore file, linked to those of
// the directories above it.
type rules struct {
	above    *rules
	base     int // bytes of a relative path up to where the patterns look at it
	patterns []pattern
}

// newRules are those of an ignore file with the given text in the directory rel.
func newRules(rel string, above *rules, text []byte) *rules {
	r := &rules{above: above, patterns: compilePatterns(ParseExcludes(text))}
	if rel != "" {
		r.base = len(rel) + 1
	}
	return r
}

// verdict returns what the rules of this file alone say: the last pattern
// that matches decides.
func (r *rules) verdict(rel []byte, name int, dir bool) (excluded, decided bool) {
	for i := len(r.patterns) - 1; i >= 0; i-- {
		if p := &r.patterns[i]; p.match(rel[r.base:], rel[name:], dir) {
			return !p.negate, true
		}
	}
	return false, false
}

// excluded reports whether rel, whose last name begins at name, is left out:
// by the user's excludes, else by the nearest ignore file that has an opinion.
func (s *Source) excluded(r *rules, rel []byte, name int, dir bool) bool {
	if excluded, decided := s.excludes.verdict(rel, name, dir); decided {
		return excluded
	}
	for ; r != nil; r = r.above {
		if excluded, decided := r.verdict(rel, name, dir); decided {
			return excluded
		}
	}
	return false
}
