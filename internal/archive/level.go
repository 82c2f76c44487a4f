package archive

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Level is how hard zstd tries.
type Level int

// The levels, fastest first.
const (
	Fastest Level = iota
	Default
	Better
	Best
)

var levelNames = [...]string{"fastest", "default", "better", "best"}

// String returns the level's name.
func (l Level) String() string { return levelNames[l] }

// ParseLevel reads the name of a level.
func ParseLevel(s string) (Level, error) {
	for i, name := range levelNames {
		if s == name {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("compression %q: want fastest, default, better or best", s)
}

func (l Level) zstd() zstd.EncoderLevel {
	return [...]zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression}[l]
}
