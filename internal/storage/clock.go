package storage

import "time"

// Clock is a storage whose server tells the time with its answers. What is
// billed by time, and when a thawed copy ends, goes by the server's clock.
type Clock interface {
	// Clock returns the server's time; false if it has not told any yet.
	Clock() (time.Time, bool)
}

// TimeOf returns the time of a storage's server, or own if it tells none.
func TimeOf(s Storage, own time.Time) time.Time {
	if c, ok := s.(Clock); ok {
		if now, told := c.Clock(); told {
			return now
		}
	}
	return own
}
