package price

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
)

// Folder is what is to be kept, and what is done with it.
type Folder struct {
	// Archives are the sizes of its archives, in bytes, and PartSize is what
	// their uploads are cut into.
	Archives []int64
	PartSize int64
	Years    int64
	// Restores is how often a year files are restored, each time the same
	// Share of the archives, 0 to 1. Archives are read whole.
	Restores, Share *big.Rat
	KeptThawed      int64 // days, of a copy that is thawed
}

// Row is what a folder costs in one class, in all of its years.
type Row struct {
	Class     tarn.Class `json:"class"`
	Tier      Tier       `json:"tier,omitempty"` // of its thaws
	Wait      Wait       `json:"wait,omitzero"`
	Storage   Money      `json:"storage"` // with overhead and monitoring
	Requests  Money      `json:"requests"`
	Retrieval Money      `json:"retrieval"` // with the copies of what is thawed
	Transfer  Money      `json:"transfer"`
	Total     Money      `json:"total"`
	Cheapest  bool       `json:"cheapest"`
}

// The most years and restores a year that a comparison takes.
const (
	maxYears    = 100
	maxRestores = 1_000_000
)

// Compare returns a row for each class of the region, warm ones first. Thaws
// are in the cheapest tier. A year has twelve months and the restores are spread over
// them, so that each month has its free transfer.
//
// INTELLIGENT_TIERING is counted without its archive tiers that one has to opt
// in to. An object goes a step down when it was not read for that step's days, so that
// restores that are spread evenly begin as many cycles; what is never read has one.
func (p *Prices) Compare(f Folder) ([]Row, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var rows []Row
	for _, class := range tarn.Classes {
		if _, ok := p.Classes[class]; !ok {
			continue
		}
		row, err := p.row(f, class)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		best := slices.MinFunc(rows, func(a, b Row) int { return a.Total.Cmp(b.Total) })
		rows[slices.IndexFunc(rows, func(r Row) bool { return r.Class == best.Class })].Cheapest = true
	}
	return rows, nil
}

func (f Folder) check() error {
	switch {
	case f.Years < 1 || f.Years > maxYears:
		return fmt.Errorf("%d years: want 1 to %d", f.Years, maxYears)
	case f.Restores.Sign() < 0 || f.Restores.Cmp(big.NewRat(maxRestores, 1)) > 0:
		return fmt.Errorf("%s restores a year: want 0 to %d", f.Restores.FloatString(0), maxRestores)
	case f.Share.Sign() < 0 || f.Share.Cmp(big.NewRat(1, 1)) > 0:
		return errors.New("share of a restore: want 0 to 1")
	case f.PartSize < 1:
		return errors.New("parts of no size")
	}
	total := int64(0)
	for _, size := range f.Archives {
		if total += size; size < 0 || size > mostBytes || total > mostTotal {
			return fmt.Errorf("an archive of %d bytes after %d: want at most %d, and %d in all", size, total-size, int64(mostBytes), int64(mostTotal))
		}
	}
	return nil
}

// mostTotal is an exbibyte, and leaves room for what is billed of small archives.
const mostTotal = 1 << 60

func (p *Prices) row(f Folder, class tarn.Class) (Row, error) {
	kept := f.kept(p.Classes[class], class)
	total := int64(0)
	for _, size := range f.Archives {
		total += size
	}
	bill, err := p.Bill(kept, 0)
	if err != nil {
		return Row{}, err
	}
	row := Row{
		Class: class, Requests: bill.Sum(GroupRequests),
		Storage: bill.Sum(GroupStorage).Add(bill.Sum(GroupOverhead)).Add(bill.Sum(GroupMonitoring)),
	}
	if err := p.addRestores(&row, f, int64(len(f.Archives)), total); err != nil {
		return Row{}, err
	}
	row.Total = row.Storage.Add(row.Requests).Add(row.Retrieval).Add(row.Transfer)
	return row, nil
}

// addRestores adds what the restores of all years cost. One month is priced,
// and counted as often as there are such: with at most one restore a month, those that have
// one, else all.
func (p *Prices) addRestores(row *Row, f Folder, objects, bytes int64) error {
	one, err := p.restore(row, f, objects, bytes)
	if err != nil {
		return err
	}
	months := new(big.Rat).Mul(f.Restores, new(big.Rat).SetInt64(f.Years))
	perMonth := new(big.Rat).Quo(f.Restores, big.NewRat(12, 1))
	if perMonth.Cmp(big.NewRat(1, 1)) > 0 {
		one = one.Times(perMonth)
		months = big.NewRat(12*f.Years, 1)
	}
	bill, err := p.Bill(one, 0)
	if err != nil {
		return err
	}
	row.Requests = row.Requests.Add(bill.Sum(GroupRequests).Times(months))
	row.Retrieval = bill.Sum(GroupRetrieval).Add(bill.Sum(GroupCopy)).Times(months)
	row.Transfer = bill.Sum(GroupTransfer).Times(months)
	return nil
}

// restore is what one restore uses.
func (p *Prices) restore(row *Row, f Folder, objects, bytes int64) (Usage, error) {
	var u Usage
	if p.Classes[row.Class].Thaw == nil {
		u.Read(row.Class, objects, bytes)
		u.TransferOut(bytes)
		return u.Times(f.Share), nil
	}
	plans, err := p.ThawPlans(ThawRequest{Class: row.Class, Objects: objects, Bytes: bytes, Days: f.KeptThawed, Gets: objects, Fetched: bytes})
	if err != nil {
		return u, err
	}
	best := Cheapest(plans)
	row.Tier, row.Wait = best.Tier, best.Wait
	return best.Usage.Times(f.Share), nil
}

// kept counts what uploading the archives and storing them for all of the years uses.
func (f Folder) kept(c Class, class tarn.Class) (u Usage) {
	var objects, billed [2]int64 // those that are not monitored, those that are
	begun := int64(0)
	for _, size := range f.Archives {
		i := 0
		if c.monitors(size) {
			i = 1
		}
		objects[i]++
		billed[i] += max(size, c.MinimumBytes)
		if n := (size + f.PartSize - 1) / f.PartSize; n > 1 {
			begun += n + 1
		}
	}
	u.addInt(item{what: puts, class: class}, objects[0]+objects[1])
	u.addInt(item{what: parts, class: class}, begun)
	years := time.Duration(f.Years) * 12 * Month
	for i := range objects {
		h := held{new(big.Rat).SetInt64(objects[i]), new(big.Rat).SetInt64(billed[i]), i == 1}
		if len(c.Steps) == 0 {
			c.store(&u, class, h, years, 0)
		} else {
			f.cycles(&u, c, class, h, years)
		}
	}
	return u
}

// cycles counts what goes down steps, and up again when it is read.
func (f Folder) cycles(u *Usage, c Class, class tarn.Class, h held, years time.Duration) {
	restores := new(big.Rat).Mul(f.Restores, new(big.Rat).SetInt64(f.Years))
	times := 1 + new(big.Int).Quo(restores.Num(), restores.Denom()).Int64()
	var read, rest Usage
	c.cycle(&read, class, h, years/time.Duration(times))
	c.cycle(&rest, class, h, years)
	u.Add(read.Times(new(big.Rat).Mul(f.Share, big.NewRat(times, 1))))
	u.Add(rest.Times(new(big.Rat).Sub(big.NewRat(1, 1), f.Share)))
}

// cycle counts what is stored and not read for so long.
func (c Class) cycle(u *Usage, class tarn.Class, h held, idle time.Duration) {
	for step := range len(c.Steps) + 1 {
		from, to := time.Duration(0), idle
		if step > 0 {
			from = days(c.Steps[step-1].AfterDays)
		}
		if step < len(c.Steps) {
			to = min(idle, days(c.Steps[step].AfterDays))
		}
		if to > from {
			c.store(u, class, h, to-from, step)
		}
	}
}
