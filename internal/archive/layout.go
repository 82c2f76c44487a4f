package archive

import (
	"encoding/binary"
	"fmt"

	"github.com/tarn-backup/tarn"
)

// Sizes of the format, in bytes.
const (
	FrameSize    = 4 << 20 // most of the tar stream that a frame holds
	minFrame     = 1 << 20 // least at which a frame is cut for the next member
	maxStored    = FrameSize + FrameSize/64 + 1024
	maxFrames    = 1 << 23
	skipMagic    = 0x184D2A5E
	seekMagic    = 0x8F92EAB1
	zstdMagic    = 0xFD2FB528
	seekFooter   = 9
	seekEntry    = 8
	skipOverhead = 8
)

// Frame is the size of one zstd frame in the object, before encryption, and of
// the part of the tar stream that it holds.
type Frame struct{ Compressed, Uncompressed uint32 }

// Layout is what reading parts of an archive needs to know of it.
type Layout struct {
	Header    []byte // age header and the 16 bytes of nonce after it; nil if not encrypted
	Frames    []Frame
	Size      int64 // of the tar stream
	Stored    int64 // of the object
	CRC64NVME uint64
}

// appendSeekTable appends the seek table of the zstd seekable format, in its
// skippable frame.
func appendSeekTable(b []byte, frames []Frame) []byte {
	b = binary.LittleEndian.AppendUint32(b, skipMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frames)*seekEntry+seekFooter))
	for _, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, f.Compressed)
		b = binary.LittleEndian.AppendUint32(b, f.Uncompressed)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frames)))
	b = append(b, 0) // descriptor: no checksums
	return binary.LittleEndian.AppendUint32(b, seekMagic)
}

// seekTableSize is the size of the seek table with its skippable frame.
func seekTableSize(frames int) int64 {
	return skipOverhead + int64(frames)*seekEntry + seekFooter
}

// check refuses a layout that no archive has.
func (l *Layout) check() error {
	bad := func(what string) error { return fmt.Errorf("layout of the archive: %s: %w", what, tarn.ErrDamaged) }
	if len(l.Frames) > maxFrames {
		return bad("too many frames")
	}
	var size, stored int64
	for _, f := range l.Frames {
		if f.Uncompressed == 0 || f.Uncompressed > FrameSize || f.Compressed == 0 || f.Compressed > maxStored {
			return bad("a frame's size is out of range")
		}
		size += int64(f.Uncompressed)
		stored += int64(f.Compressed)
	}
	stored += seekTableSize(len(l.Frames))
	if l.Header != nil {
		stored = int64(len(l.Header)) + sealedSize(stored)
	}
	if size != l.Size || stored != l.Stored {
		return bad("its sizes do not agree with its frames")
	}
	return nil
}
