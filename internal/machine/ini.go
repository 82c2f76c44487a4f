package machine

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ini is a file of AWS's programs, by its lines with their ends. It is the user's,
// so only lines that are named change: comments, order and the rest stay.
type ini []string

func parseINI(data []byte) ini { return slices.Collect(strings.Lines(string(data))) }

// end is how lines of the file end.
func (f ini) end() string {
	if len(f) > 0 && strings.HasSuffix(f[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// ErrTwice says that a file has two sections of one name.
var ErrTwice = errors.New("stands there twice")

// section returns the lines of a section from its header up to the next one; the
// end of the file, twice, if it is not there. One that stands there twice is
// refused: which of them counts depends on the program that reads it.
func (f ini) section(name string) (from, to int, err error) {
	from, to = len(f), len(f)
	found, inside := false, false
	for i, line := range f {
		header := strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")) // which Windows puts first
		if !strings.HasPrefix(header, "[") {
			continue
		}
		if inside {
			to, inside = i, false
		}
		inner, _, _ := strings.Cut(header[1:], "]")
		if strings.Join(strings.Fields(inner), " ") != name {
			continue
		}
		if found {
			return 0, 0, fmt.Errorf("[%s] %w", name, ErrTwice)
		}
		from, found, inside = i, true, true
	}
	return from, to, nil
}

// setting is a line that sets something.
type setting struct {
	line                int
	indent, name, value string
}

var settingLine = regexp.MustCompile(`^([ \t]*)([^\s=:#;\[][^=:]*?)[ \t]*[=:][ \t]*(.*?)\s*$`)

// settings are those of a section. What is indented by more than the first
// belongs to the one before it.
func (f ini) settings(from, to int) (list []setting) {
	for i := from + 1; i < to; i++ {
		m := settingLine.FindStringSubmatch(f[i])
		if m == nil || len(list) > 0 && len(m[1]) > len(list[0].indent) {
			continue
		}
		list = append(list, setting{i, m[1], strings.ToLower(m[2]), m[3]})
	}
	return list
}

// get returns what a section says of a name; "" if nothing.
func (f ini) get(from, to int, name string) string {
	for _, s := range f.settings(from, to) {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

// pair is a name with its value.
type pair struct{ name, value string }

// set returns the file with the values in a section, in the places of those that
// are there already.
func (f ini) set(from, to int, pairs []pair) ini {
	out, last, indent := slices.Clone(f), from, ""
	var missing []pair
	for _, p := range pairs {
		at := -1
		for _, s := range f.settings(from, to) {
			if s.name == p.name {
				at = s.line
				if at > last { // the indent that missing ones have, too, as they come below it
					last, indent = at, s.indent
				}
				out[at] = s.indent + p.name + " = " + p.value + f.end()
			}
		}
		if at < 0 {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 && !strings.HasSuffix(out[last], "\n") {
		out[last] += f.end()
	}
	for i, p := range missing {
		out = slices.Insert(out, last+1+i, indent+p.name+" = "+p.value+f.end())
	}
	return out
}

// add returns the file with a section at its end.
func (f ini) add(name, comment string, pairs []pair) ini {
	out := slices.Clone(f)
	if n := len(out); n > 0 && !strings.HasSuffix(out[n-1], "\n") {
		out[n-1] += f.end()
	}
	out = append(out, "["+name+"]"+f.end(), comment+f.end())
	for _, p := range pairs {
		out = append(out, p.name+" = "+p.value+f.end())
	}
	return out
}

// continued are the lines below a setting that belong to it: those that are indented
// by more. Left alone they would belong to what stands before.
func (f ini) continued(s setting, to int) (lines []int) {
	for i := s.line + 1; i < to; i++ {
		text := strings.TrimSpace(f[i])
		indent := len(f[i]) - len(strings.TrimLeft(f[i], " \t"))
		switch {
		case text == "" || strings.ContainsAny(text[:1], "#;"):
		case indent <= len(s.indent):
			return lines
		default:
			lines = append(lines, i)
		}
	}
	return lines
}

// drop returns the file without some settings of a section, and without a comment of
// it. The section goes, too, if it sets nothing else.
func (f ini) drop(from, to int, comment string, names []string) ini {
	var gone []int
	others := false
	for _, s := range f.settings(from, to) {
		if slices.Contains(names, s.name) {
			gone = append(gone, s.line)
			gone = append(gone, f.continued(s, to)...)
		} else {
			others = true
		}
	}
	if !others {
		gone = append(gone, from)
	}
	var out ini
	for i, line := range f {
		marked := from < i && i < to && strings.TrimSpace(line) == comment
		if !marked && !slices.Contains(gone, i) {
			out = append(out, line)
		}
	}
	return out
}
