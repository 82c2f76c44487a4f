package guard

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// Print writes the plan for people.
func (p *Plan) Print(w io.Writer) error {
	out := &lines{w: w}
	out.say("%s", p.Summary())
	for _, c := range p.Changes {
		out.change(&c)
	}
	for _, note := range p.Notes {
		out.say("note: %s", note)
	}
	return out.err
}

// Summary says how many resources are added, changed, replaced and removed.
func (p *Plan) Summary() string {
	var parts []string
	for _, a := range order {
		if n := p.Count(a); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, a))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing changes"}
	}
	stack := "stack " + p.Stack
	if p.New {
		stack = "new " + stack
	}
	s := stack + ": " + strings.Join(parts, ", ")
	if n := len(p.Dangers()); n > 0 {
		s += fmt.Sprintf("; %d of them with data", n)
	}
	if n := len(p.Risky()); n > 0 {
		s += fmt.Sprintf("; %d of them to look at", n)
	}
	return s
}

// lines writes lines until one fails.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) say(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format+"\n", args...)
	}
}

var signs = map[Action]string{Removed: "-", Replaced: "!", MayReplace: "?", Changed: "~", Imported: ">", Added: "+"}

func (l *lines) change(c *Change) {
	action := string(c.Action)
	if c.Dangerous() {
		action = strings.ToUpper(action)
	}
	id := c.ID
	if c.NewID != "" {
		id += " → " + c.NewID
	}
	head := fmt.Sprintf("%s %s: %s %s", signs[c.Action], action, Noun(c.Type), plain(id))
	if c.Name != "" && c.Name != c.ID {
		head += " (" + plain(shortName(c.Name)) + ")"
	}
	if c.Action == Changed && len(c.Properties) > 0 {
		head += ": " + plain(strings.Join(c.Properties, ", "))
	}
	l.say("%s", head)
	if c.Loses != "" {
		l.say("    lost:  %s", c.Loses)
	}
	for _, why := range c.Why {
		l.say("    why:   %s", plain(why))
	}
	for _, risk := range c.Risks {
		l.say("    look at this: %s", plain(risk))
	}
	if c.Collides != "" {
		l.say("    fails: %s", plain(c.Collides))
	}
	if c.Loses == "" && c.Collides == "" {
		return // what has no data may be replaced without much ado
	}
	for _, how := range c.Avoid {
		l.say("    avoid: %s", plain(how))
	}
}

// plain shows text of a template on one line of a terminal.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
