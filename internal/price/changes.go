package price

import (
	"fmt"
	"strings"

	"github.com/tarn-backup/tarn"
)

// Entry is one price of a region.
type Entry struct {
	Class tarn.Class `json:"class,omitempty"` // "" of what is the same for all
	What  string     `json:"what"`
	Price Money      `json:"price"`
}

// Entries lists the prices that are known, in the order of a table.
func (p *Prices) Entries() (list []Entry) {
	add := func(class tarn.Class, what string, m Money) {
		if m.known() {
			list = append(list, Entry{class, what, m})
		}
	}
	for _, class := range tarn.Classes {
		c, ok := p.Classes[class]
		if !ok {
			continue
		}
		add(class, "storage, GiB and month", c.Storage)
		for _, s := range c.Steps {
			add(class, fmt.Sprintf("storage after %d days, GiB and month", s.AfterDays), s.Storage)
		}
		add(class, "1,000 PUT", c.Put)
		add(class, "1,000 GET", c.Get)
		add(class, "retrieval, GiB", c.Retrieval)
		add(class, "1,000 lifecycle transitions", c.Lifecycle)
		add(class, "monitoring, 1,000 objects and month", c.Monitoring)
		for _, tier := range Tiers {
			name := strings.ToLower(string(tier))
			add(class, name+" thaw, GiB", c.Thaw[tier].Bytes)
			add(class, name+" thaw, 1,000 objects", c.Thaw[tier].Requests)
		}
	}
	add("", "1,000 LIST", p.List)
	add("", "transfer out, GiB", p.Transfer)
	return list
}

// Change is a price that is another now.
type Change struct {
	Class  tarn.Class `json:"class,omitempty"`
	What   string     `json:"what"`
	Before *Money     `json:"before"` // nil if there was none
	After  *Money     `json:"after"`  // nil if there is none any more
}

// Changes lists the prices that differ; before may be nil.
func Changes(before, after *Prices) (list []Change) {
	type name struct {
		class tarn.Class
		what  string
	}
	had := map[name]Money{}
	var old []Entry
	if before != nil {
		old = before.Entries()
	}
	for _, e := range old {
		had[name{e.Class, e.What}] = e.Price
	}
	for _, e := range after.Entries() {
		was, known := had[name{e.Class, e.What}]
		delete(had, name{e.Class, e.What})
		switch now := e.Price; {
		case !known:
			list = append(list, Change{e.Class, e.What, nil, &now})
		case was.Cmp(now) != 0:
			list = append(list, Change{e.Class, e.What, &was, &now})
		}
	}
	for _, e := range old {
		if was, gone := had[name{e.Class, e.What}]; gone {
			list = append(list, Change{e.Class, e.What, &was, nil})
		}
	}
	return list
}
