package bill

import (
	"maps"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

// Thing is an object that lies in a storage.
type Thing struct {
	Class    tarn.Class
	Size     int64
	Age      time.Duration
	Metadata bool // it is no archive
}

// Row is what the archives of one class cost, or the metadata.
type Row struct {
	Class    tarn.Class  `json:"class"`
	Metadata bool        `json:"metadata"`
	Objects  int64       `json:"objects"`
	Bytes    int64       `json:"bytes"`
	Storage  price.Money `json:"storage"` // a month
	Overhead price.Money `json:"overhead"`
	Other    price.Money `json:"monitoring"`
	Month    price.Money `json:"month"` // the three together
	// Owed is what the minimum days still cost of these, if they were deleted
	// now, and Days how many of them are left of the youngest.
	Owed price.Money `json:"owed"`
	Days int64       `json:"owed_days"`
}

// Holding sums up what lies in a storage.
type Holding struct {
	p    *price.Prices
	rows map[rowKey]*holding
}

type rowKey struct {
	metadata bool
	class    tarn.Class
}

type holding struct {
	objects, bytes int64
	month          *price.Inventory
	owed           price.Usage
	left           time.Duration
}

// NewHolding returns an empty one.
func NewHolding(p *price.Prices) *Holding { return &Holding{p: p, rows: map[rowKey]*holding{}} }

// Add adds an object.
func (h *Holding) Add(t Thing) error {
	key := rowKey{t.Metadata, t.Class}
	row := h.rows[key]
	if row == nil {
		row = &holding{month: h.p.Inventory()}
		h.rows[key] = row
	}
	row.objects++
	row.bytes += t.Size
	if t.Metadata && t.Class == tarn.Standard {
		return nil // priced in one sum: these are many
	}
	if err := row.month.Add(t.Class, 1, t.Size); err != nil {
		return err
	}
	owed, err := h.p.Owed(t.Class, 1, t.Size, t.Age)
	if err != nil {
		return err
	}
	row.owed.Add(owed)
	least := time.Duration(h.p.Classes[t.Class].MinimumDays) * 24 * time.Hour
	row.left = max(row.left, least-max(t.Age, 0))
	return nil
}

// Rows are the archives by class, and then the metadata, with their sums.
func (h *Holding) Rows() (rows []Row, month, owed price.Money, err error) {
	keys := slices.SortedFunc(maps.Keys(h.rows), func(a, b rowKey) int {
		if a.metadata != b.metadata {
			if a.metadata {
				return 1
			}
			return -1
		}
		return slices.Index(tarn.Classes, a.class) - slices.Index(tarn.Classes, b.class)
	})
	for _, key := range keys {
		row, err := h.row(key)
		if err != nil {
			return nil, month, owed, err
		}
		rows = append(rows, row)
		month, owed = month.Add(row.Month), owed.Add(row.Owed)
	}
	return rows, month, owed, nil
}

func (h *Holding) row(key rowKey) (Row, error) {
	const day = 24 * time.Hour
	kept := h.rows[key]
	if key.metadata && key.class == tarn.Standard {
		kept.month.AddMetadata(kept.bytes)
	}
	b, err := kept.month.Month()
	if err != nil {
		return Row{}, err
	}
	owed, err := h.p.Bill(kept.owed, 0)
	if err != nil {
		return Row{}, err
	}
	return Row{
		Class: key.class, Metadata: key.metadata, Objects: kept.objects, Bytes: kept.bytes,
		Storage: b.Sum(price.GroupStorage).Add(b.Sum(price.GroupMetadata)), Overhead: b.Sum(price.GroupOverhead),
		Other: b.Sum(price.GroupMonitoring), Month: b.Total, Owed: owed.Total, Days: int64((kept.left + day - 1) / day),
	}, nil
}
