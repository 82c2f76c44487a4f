package guard

import (
	"errors"
	"fmt"
	"strings"
)

// ErrRefused says that a plan is not carried out, and that nothing was changed.
var ErrRefused = errors.New("nothing was changed")

// Consent has a person type the name of each thing that the plan lets go.
// Without a name, or with another one, it returns ErrRefused. No flag stands
// for it: what reads a name is to ask whoever sits there. A plan that would fail for
// a name that is taken is refused without asking.
func (p *Plan) Consent(ask func(question string) (string, error)) error {
	for _, c := range p.Collisions() {
		return fmt.Errorf("%s: %s: %w", c.ID, c.Collides, ErrRefused)
	}
	for _, c := range p.Dangers() {
		answer, err := ask(fmt.Sprintf("To let the %s %s %s, type its name: ", Noun(c.Type), c.Called(), c.fate()))
		if err != nil {
			return fmt.Errorf("the %s %s would %s, and nobody has typed its name (%w): %w", Noun(c.Type), c.Called(), c.fate(), err, ErrRefused)
		}
		if strings.TrimSpace(answer) != c.Called() {
			return fmt.Errorf("the %s %s would %s, and that is not its name: %w", Noun(c.Type), c.Called(), c.fate(), ErrRefused)
		}
	}
	return nil
}

// fate is what becomes of a resource, as it follows "would".
func (c *Change) fate() string {
	switch {
	case !c.Goes():
		return "delete what is in it sooner"
	case c.Action == MayReplace:
		return "be " + string(Replaced)
	}
	return "be " + string(c.Action)
}
