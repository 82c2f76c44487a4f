package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
)

// readyIn is when what an offer asks for now can be read, as a rule; the zero time if
// nobody says.
func readyIn(o cold.Offer, now time.Time) time.Time {
	if o.Wait.To == 0 {
		return time.Time{}
	}
	return now.Add(o.Wait.To)
}

// when says when to come back for archives of which some are being thawed. ready is
// when what was asked for here can be read, as a rule, or the zero time. What another
// command has asked for is ready at the end of the usual wait at the latest, counted from then.
func (v *coldView) when(ready time.Time, list []cold.Object) string {
	if !ready.IsZero() {
		return "after " + ready.Local().Format("2006-01-02 15:04")
	}
	var waits []string
	for _, tier := range price.Tiers {
		var most time.Duration
		for _, o := range list {
			if o.State == cold.Thawing && v.prices != nil {
				most = max(most, v.prices.Classes[o.Class].Waits[tier].To)
			}
		}
		if most > 0 {
			waits = append(waits, fmt.Sprintf("%s in the tier %s", formatDuration(most), strings.ToLower(string(tier))))
		}
	}
	if len(waits) == 0 {
		return "then"
	}
	return "then, which is at most so long after it was asked for: " + strings.Join(waits, ", ")
}

// waitingDoc is the JSON of what is not back yet.
func waitingDoc(thawing, frozen int64, ready time.Time) map[string]any {
	doc := map[string]any{"type": "waiting", "thawing": thawing, "frozen": frozen}
	if !ready.IsZero() {
		doc["ready"] = ready.UTC().Truncate(time.Second)
	}
	return doc
}
