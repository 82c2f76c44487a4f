package main

import (
	"fmt"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// tell prints an event of the stack, as it happens.
func (c *clouds) tell(e cloud.Event) {
	if c.json {
		_ = c.printJSON(map[string]any{"type": "event", "time": e.Time, "id": e.ID, "of": e.Type, "status": e.Status, "reason": e.Reason}) // a full stdout is told at the end
		return
	}
	if c.quiet {
		return
	}
	line := fmt.Sprintf("%s  %-28s %-20s %s", formatTime(e.Time)[11:], e.Status, printable(e.ID), e.Type)
	if e.Reason != "" {
		line += ": " + printable(e.Reason)
	}
	fmt.Fprintln(c.stderr, line)
}
