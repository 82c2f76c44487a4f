package archive

import (
	"encoding/binary"
	"fmt"

	"github.com/tarn-backup/tarn"
)

// FrameSize is the most of the tar stream that a frame holds, in bytes.
const FrameSize = 4 << 20

const (
	minFrame  = 1 << 20                  // least at which a frame is cut for the next member
	maxStored = FrameSize + FrameSize/64 // most that a frame takes compressed, with room for any encoder's blocks
	maxFrames = 1 << 23
	maxHeader = 1 << 20 // of the age header; more than any list of recipients takes
)

// The seek table of the zstd seekable format, in its skippable frame.
const (
	skipMagic  = 0x184D2A5E
	seekMagic  = 0x8F92EAB1
	skipHeader = 8 // magic, size
	seekEntry  = 8 // compressed, uncompressed size
	seekFooter = 9 // number of frames, descriptor, magic
)

// Frame is one zstd frame: its size in the object before encryption, and the
// size of the stretch of the tar stream that it holds, in bytes.
type Frame struct{ Compressed, Uncompressed uint32 }

// Layout is what reading a part of an archive needs to know of the whole.
type Layout struct {
	// Header is the age header and the 16 bytes of nonce after it; nil if the
	// archive is not encrypted.
	Header []byte
	Frames []Frame
	Size   int64 // bytes of the tar stream
	Stored int64 // bytes of the object
	// CRC64NVME is of the object's bytes; 0 if ReadLayout made the Layout.
	CRC64NVME uint64
}

// plain returns the size of the object before encryption. The layout must be
// sound.
func (l *Layout) plain() int64 {
	n := seekTableSize(len(l.Frames))
	for _, f := range l.Frames {
		n += int64(f.Compressed)
	}
	return n
}

// check refuses a layout that no archive has. It bounds all sums: 2^23 frames
// of a few MiB are far from the limits of an int64.
func (l *Layout) check() error {
	bad := func(what string) error {
		return fmt.Errorf("checking the layout of an archive: %s: %w", what, tarn.ErrDamaged)
	}
	if len(l.Frames) > maxFrames {
		return bad("too many frames")
	}
	var size int64
	for i, f := range l.Frames {
		if f.Uncompressed == 0 || f.Uncompressed > FrameSize || f.Compressed == 0 || f.Compressed > maxStored {
			return bad(fmt.Sprintf("frame %d of %d bytes for %d", i, f.Compressed, f.Uncompressed))
		}
		size += int64(f.Uncompressed)
	}
	stored := l.plain()
	if l.Header != nil {
		if len(l.Header) <= nonceSize || len(l.Header) > maxHeader {
			return bad("size of the age header")
		}
		stored = int64(len(l.Header)) + sealedSize(stored)
	}
	if size != l.Size || stored != l.Stored {
		return bad("its sizes do not agree with its frames")
	}
	return nil
}

// seekTableSize is the size of the seek table with its skippable frame.
func seekTableSize(frames int) int64 {
	return skipHeader + int64(frames)*seekEntry + seekFooter
}

// appendSeekTable appends the seek table of frames, which takes
// seekTableSize(len(frames)) bytes.
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
