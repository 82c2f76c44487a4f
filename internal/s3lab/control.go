package s3lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ControlPath is where a running lab takes orders: no bucket can have its
// name. Only this machine may give them, and only with the lab's access key
// in ControlKey, a header that no web page of others can send.
const (
	ControlPath = "/-/"
	ControlKey  = "X-Tarn-Lab-Key"
)

// control answers requests for the control path: POST /-/advance?by=12h,
// GET /-/bill, POST /-/expedited?available=false, POST /-/move?bucket=&prefix=&class=
// and POST /-/limit?all=&restores=. The answer is JSON, or a text with the error.
func (l *Lab) control(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !net.ParseIP(host).IsLoopback() || !l.let(r.Header.Get(ControlKey)) {
		http.Error(w, "only this machine may, and with the lab's access key", http.StatusForbidden)
		return
	}
	what := strings.TrimPrefix(r.URL.Path, ControlPath)
	method := http.MethodPost
	if what == "bill" {
		method = http.MethodGet
	}
	orders := map[string]func(url.Values) (any, error){
		"advance": l.orderAdvance, "bill": l.orderBill, "expedited": l.orderExpedited, "move": l.orderMove, "limit": l.orderLimit,
	}
	order := orders[what]
	switch {
	case order == nil:
		http.Error(w, "the lab knows no such order", http.StatusNotFound)
		return
	case r.Method != method:
		http.Error(w, "the method has to be "+method, http.StatusMethodNotAllowed)
		return
	}
	doc, err := order(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc) // a client that went away reads nothing
}

// ClockAnswer is the answer to an order that has no other.
type ClockAnswer struct {
	Now   time.Time `json:"now"`
	Moved int       `json:"moved,omitempty"` // objects
}

func (l *Lab) orderAdvance(q url.Values) (any, error) {
	by, err := ParseDuration(q.Get("by"))
	if err == nil {
		err = l.Advance(by)
	}
	return ClockAnswer{Now: l.Now()}, err
}

func (l *Lab) orderBill(url.Values) (any, error) { return l.Bill() }

func (l *Lab) orderExpedited(q url.Values) (any, error) {
	available, err := strconv.ParseBool(q.Get("available"))
	if err != nil {
		return nil, errors.New("available has to be true or false")
	}
	return ClockAnswer{Now: l.Now()}, l.Expedited(available)
}

func (l *Lab) orderMove(q url.Values) (any, error) {
	n, err := l.Move(q.Get("bucket"), q.Get("prefix"), q.Get("class"))
	return ClockAnswer{Now: l.Now(), Moved: n}, err
}

func (l *Lab) orderLimit(q url.Values) (any, error) {
	var limits [2]int
	for i, name := range []string{"all", "restores"} {
		n, err := strconv.Atoi(q.Get(name))
		if q.Has(name) && (err != nil || n < 0) {
			return nil, fmt.Errorf("%s has to be a number", name)
		}
		limits[i] = n
	}
	l.Limit(limits[0], limits[1])
	return ClockAnswer{Now: l.Now()}, nil
}

// ParseDuration reads a duration as Go writes it, or with whole days before
// that: 90m, 12h, 2d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("duration %q: want one such as 90m, 12h or 2d", s)
	var sum time.Duration
	rest := s
	if days, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, wrong
		}
		sum, rest = time.Duration(n)*day, after
	}
	if rest == "" && sum > 0 {
		return sum, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || sum+d < sum {
		return 0, wrong
	}
	return sum + d, nil
}

// billDoc is a bill in JSON. Amounts are text, since they are exact.
type billDoc struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Total string    `json:"total"`
	Lines []lineDoc `json:"lines"`
}

type lineDoc struct {
	Item     Item   `json:"item"`
	Class    string `json:"class,omitempty"`
	Tier     string `json:"tier,omitempty"`
	Quantity string `json:"quantity"`
	Unit     string `json:"unit"`
	Price    string `json:"price"`
	Amount   string `json:"amount"`
}

// MarshalJSON implements json.Marshaler. Amounts are fractions as text, so
// that nothing is lost.
func (b *Bill) MarshalJSON() ([]byte, error) {
	doc := billDoc{From: b.From, To: b.To, Total: b.Total.RatString(), Lines: []lineDoc{}}
	for _, l := range b.Lines {
		doc.Lines = append(doc.Lines, lineDoc{l.Item, l.Class, l.Tier, l.Quantity.RatString(), l.Unit, l.Price.RatString(), l.Amount.RatString()})
	}
	return json.Marshal(doc)
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bill) UnmarshalJSON(data []byte) error {
	var doc billDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	wrong := false
	rat := func(s string) *big.Rat {
		r, ok := new(big.Rat).SetString(s)
		wrong = wrong || !ok
		return r
	}
	*b = Bill{From: doc.From, To: doc.To, Total: rat(doc.Total)}
	for _, l := range doc.Lines {
		b.Lines = append(b.Lines, Line{l.Item, l.Class, l.Tier, rat(l.Quantity), l.Unit, rat(l.Price), rat(l.Amount)})
	}
	if wrong {
		return errors.New("an amount of the bill is no number")
	}
	return nil
}
