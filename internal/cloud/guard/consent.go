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
		answer, err := ask(fmt.Sprintf("To let the %s %s be %s, type its name: ", Noun(c.Type), c.Called(), past(c.Action)))
		if err != nil {
			return fmt.Errorf("the %s %s would be %s, and nobody has typed its name (%w): %w", Noun(c.Type), c.Called(), past(c.Action), err, ErrRefused)
		}
		if strings.TrimSpace(answer) != c.Called() {
			return fmt.Errorf("the %s %s would be %s, and that is not its name: %w", Noun(c.Type), c.Called(), past(c.Action), ErrRefused)
		}
	}
	return nil
}

// past is an action as it follows "be".
func past(a Action) string {
	if a == MayReplace {
		return string(Replaced)
	}
	return string(a)
}
