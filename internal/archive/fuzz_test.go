package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// bound fails a fuzz target that takes more memory than any input may.
func bound(t *testing.T, f func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 {
		t.Errorf("took %d MiB", n>>20)
	}
}

// seeds are small, since the fuzzer is slow with large ones.
func seeds(f *testing.F) [][]byte {
	items := []item{file("a", words(1, 100)), {entry: tarn.Entry{Path: "s", Type: tarn.TypeSymlink, Target: "a"}}}
	to := []age.Recipient{goldenIdentity(f).(*age.X25519Identity).Recipient()}
	return [][]byte{
		write(f, false, archive.WriterConfig{}, items).bytes,
		write(f, true, archive.WriterConfig{Recipients: to}, items).bytes,
		golden(f, "foreign.tar.zst"), golden(f, "foreign.tar.zst.age"), nil, []byte("age-encryption.org/v1\n"),
	}
}

func FuzzMembers(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	ids := []age.Identity{goldenIdentity(f)}
	f.Fuzz(func(t *testing.T, b []byte) {
		bound(t, func() {
			for m, err := range archive.Members(context.Background(), bytes.NewReader(b), ids) {
				if err != nil {
					return
				}
				n, err := io.CopyN(io.Discard, m.Content, 64<<20)
				if err == nil {
					return // a bomb, which its reader stops
				}
				if err == io.EOF && n != m.Entry.Size {
					t.Fatalf("%d bytes of %d", n, m.Entry.Size)
				}
			}
		})
	})
}

func FuzzLayout(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, int64(len(b)))
	}
	ids := []age.Identity{goldenIdentity(f)}
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		bound(t, func() {
			if size < 0 || size > 1<<40 {
				size = int64(len(b))
			}
			l, err := archive.ReadLayout(context.Background(), size, rangeOf(b), ids)
			if err != nil {
				return
			}
			r, err := archive.NewReader(l, rangeOf(b), ids)
			if err != nil {
				t.Fatalf("layout that was read is refused: %v", err)
			}
			readStretch(t, r, 0, min(l.Size, 16<<20))
		})
	})
}

// FuzzStretch reads by a layout that need not have to do with the object.
func FuzzStretch(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, []byte(nil), []byte{}, int64(0), int64(512))
		l, err := archive.ReadLayout(context.Background(), int64(len(b)), rangeOf(b), []age.Identity{goldenIdentity(f)})
		if err != nil {
			continue
		}
		var frames []byte
		for _, fr := range l.Frames {
			frames = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(frames, fr.Compressed), fr.Uncompressed)
		}
		f.Add(b, frames, l.Header, int64(0), l.Size)
	}
	ids := []age.Identity{goldenIdentity(f)}
	f.Fuzz(func(t *testing.T, b, frames, header []byte, offset, length int64) {
		bound(t, func() {
			l := archive.Layout{Stored: int64(len(b))}
			if len(header) > 0 {
				l.Header = header
			}
			for ; len(frames) >= 8; frames = frames[8:] {
				fr := archive.Frame{Compressed: binary.LittleEndian.Uint32(frames), Uncompressed: binary.LittleEndian.Uint32(frames[4:])}
				l.Frames = append(l.Frames, fr)
				l.Size += int64(fr.Uncompressed)
			}
			r, err := archive.NewReader(l, rangeOf(b), ids)
			if err != nil {
				return
			}
			if offset != math.MinInt64 && length > 16<<20 {
				length %= 16 << 20
			}
			readStretch(t, r, offset, length)
		})
	})
}

// readStretch reads a stretch and holds it to its promise: all of it or an
// error.
func readStretch(t *testing.T, r *archive.Reader, offset, length int64) {
	s, err := r.Stretch(context.Background(), offset, length)
	if err != nil {
		return
	}
	defer s.Close()
	n, err := io.Copy(io.Discard, s)
	if err == nil && n != length || errors.Is(err, io.EOF) {
		t.Fatalf("%d bytes of %d, %v", n, length, err)
	}
}
