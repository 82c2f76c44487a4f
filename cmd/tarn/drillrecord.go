package main

import (
	"errors"

	"github.com/tarn-backup/tarn/internal/drill"
)

// errTwoDrills says that another drill has changed the record.
var errTwoDrills = errors.New("another drill of this repository is running on this machine")

// drillRecord reads what drills of a repository have found so far.
func (g *globals) drillRecord(o *opened) (*drill.Record, error) {
	id := o.Config.ID
	data, err := o.dirs.Drill(id)
	if err != nil || data == nil {
		return drill.NewRecord(id), err
	}
	r, err := drill.ParseRecord(data, id)
	if err != nil {
		return nil, hinted{err, "Delete " + printable(o.dirs.DrillPath(id)) + ": what was proven counts as not proven then."}
	}
	return r, nil
}

// save keeps the record. One that another process has changed meanwhile is an
// error: what that has paid for must not be forgotten.
func (d *drilling) save(r *drill.Record) error {
	kept, err := d.drillRecord(d.o)
	if err != nil {
		return err
	}
	if kept.Revision != r.Revision {
		return hinted{errTwoDrills, "Run the same command again when that is over: it goes on."}
	}
	r.Revision++
	data, err := r.Encode()
	if err != nil {
		return err
	}
	return d.o.dirs.KeepDrill(d.o.Config.ID, data)
}
