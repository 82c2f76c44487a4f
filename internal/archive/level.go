package archive

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Level is how hard zstd tries. The zero value is Default.
type Level int

// The levels.
const (
	Default Level = iota
	Fastest
	Better
	Best
	// Auto is Fastest, Default or Better from frame to frame: as hard as the
	// rest of a run leaves time for.
	Auto
	levels // their number
)

var levelNames = [levels]string{Default: "default", Fastest: "fastest", Better: "better", Best: "best", Auto: "auto"}

// encoderLevels are those of the levels but for Auto, which has none of its own.
var encoderLevels = [Auto]zstd.EncoderLevel{
	Default: zstd.SpeedDefault,
	Fastest: zstd.SpeedFastest,
	Better:  zstd.SpeedBetterCompression,
	Best:    zstd.SpeedBestCompression,
}

// Valid reports whether l is one of the levels.
func (l Level) Valid() bool { return l >= 0 && l < levels }

// String returns the level's name.
func (l Level) String() string {
	if !l.Valid() {
		return fmt.Sprintf("level %d", int(l))
	}
	return levelNames[l]
}

// ParseLevel reads the name of a level.
func ParseLevel(s string) (Level, error) {
	for i, name := range levelNames {
		if s == name {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("compression %.40q: want auto, fastest, default, better or best", s)
}
