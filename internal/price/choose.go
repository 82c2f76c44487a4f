package price

import (
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
)

// Archive is an archive of which a class is to be found.
type Archive struct {
	Size  int64
	Parts int64         // of its upload; 0 or 1 if it is put in one request
	Keep  time.Duration // how long it is likely to stay
}

// CheapestClass returns the class in which it costs least to put an archive and
// to keep it: the wanted class, or a warmer one if the archive is too small to
// pay off there. Reading is not counted: a warmer class is not dearer in that
// until it is read often. ONEZONE_IA and INTELLIGENT_TIERING are never a substitute: the one
// keeps less safe, and what the other costs nobody knows before.
func (p *Prices) CheapestClass(want tarn.Class, a Archive) (tarn.Class, error) {
	best, err := p.costOfKeeping(want, a)
	if err != nil {
		return "", err
	}
	class := want
	warmer := tarn.Classes[:max(slices.Index(tarn.Classes, want), 0)]
	for _, c := range slices.Backward(warmer) {
		if _, known := p.Classes[c]; !known || c == tarn.OneZoneIA || c == tarn.IntelligentTiering {
			continue
		}
		cost, err := p.costOfKeeping(c, a)
		if err != nil {
			return "", err
		}
		if cost.Cmp(best) < 0 {
			class, best = c, cost
		}
	}
	return class, nil
}

// costOfKeeping is what it costs to put an archive into a class and to keep it
// there, and at least the minimum of days.
func (p *Prices) costOfKeeping(class tarn.Class, a Archive) (Money, error) {
	c, err := p.class(class)
	if err != nil {
		return Money{}, err
	}
	var u Usage
	u.Upload(class, 1, a.Parts)
	c.store(&u, class, c.held(1, a.Size), max(a.Keep, days(c.MinimumDays)), 0)
	b, err := p.Bill(u, 0)
	return b.Total, err
}
