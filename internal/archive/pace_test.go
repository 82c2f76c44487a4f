package archive

import "testing"

// TestPace: time to spare raises the level step by step, and a run whose
// processors are busy falls back at once.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		idle  func(frame int) bool
		want  Level // of the 400th frame
		never Level
	}{
		{"a slow storage", func(int) bool { return true }, Better, Best},
		{"busy processors", func(int) bool { return false }, Fastest, Default},
		{"half and half", func(i int) bool { return i%2 == 0 }, Fastest, Better},
		{"now and then busy", func(i int) bool { return i%10 != 9 }, Default, Best},
		{"a storage that became fast", func(i int) bool { return i < 385 }, Fastest, Best},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p pace
			var got Level
			for i := range 400 {
				if got = p.next(c.idle(i)); got == c.never {
					t.Errorf("frame %d: level %s", i, got)
				}
				if i == 0 && got != Fastest {
					t.Errorf("begins at %s", got)
				}
			}
			if got != c.want {
				t.Errorf("last frame: level %s, want %s", got, c.want)
			}
		})
	}
}
