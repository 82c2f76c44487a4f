package repo

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// Limits of the frame table.
const (
	framesPerLine = 1000
	maxFrames     = 1 << 23 // of an archive
)

// Content is one line of an index: a content and where it lies in the archive.
type Content struct {
	Hash         tarn.ContentHash
	Offset, Size int64
	Path         string // the member's name
}

// Index is what an index says of its archive, but for the contents.
type Index struct {
	Archive tarn.ArchiveID
	Key     string // of the archive
	Split   string
	Created time.Time
	// Rebuilt says that the index was made from the archive itself. So its MAC
	// says what is in the archive, and not that a holder of the key wrote it.
	Rebuilt  bool
	Layout   archive.Layout
	Contents int64
}

// IndexWriter makes the index of one archive while that is written.
type IndexWriter struct {
	index Index
	file  CacheFile
	zstd  *encoder
	mac   hash.Hash
	buf   []byte
}

// NewIndex begins the index of an archive that is being written.
func (r *Repo) NewIndex(id tarn.ArchiveID, split string) (*IndexWriter, error) {
	return r.newIndex(id, split, false)
}

// NewRebuiltIndex begins the index of an archive that was found without one.
func (r *Repo) NewRebuiltIndex(id tarn.ArchiveID, split string) (*IndexWriter, error) {
	return r.newIndex(id, split, true)
}

func (r *Repo) newIndex(id tarn.ArchiveID, split string, rebuilt bool) (*IndexWriter, error) {
	f, err := r.cache.Create()
	if err != nil {
		return nil, fmt.Errorf("beginning an index: %w", err)
	}
	w := &IndexWriter{
		index: Index{Archive: id, Key: r.ArchiveKey(split, id), Split: split, Created: r.now().UTC().Truncate(time.Second), Rebuilt: rebuilt},
		file:  f, zstd: newEncoder(f), mac: r.key.newMAC(labelIndex),
	}
	b := append(w.buf, `{"type":"archive","format":1,"archive":"`...)
	b = append(append(b, id...), `","key":`...)
	b = appendString(b, w.index.Key)
	b = appendText(append(b, ','), "split", split)
	b = append(b, `,"created":"`...)
	b = append(w.index.Created.AppendFormat(b, time.RFC3339), '"')
	if rebuilt {
		b = append(b, `,"rebuilt":true`...)
	}
	return w, w.line(append(b, '}', '\n'))
}

// Add names a content, in order of offset.
func (w *IndexWriter) Add(c Content) error {
	w.index.Contents++
	b := append(w.buf[:0], `{"type":"content","content":"`...)
	b = append(hex.AppendEncode(b, c.Hash[:]), `","offset":`...)
	b = append(strconv.AppendInt(b, c.Offset, 10), `,"size":`...)
	b = append(strconv.AppendInt(b, c.Size, 10), ',')
	b = appendText(b, "path", c.Path)
	return w.line(append(b, '}', '\n'))
}

// Finish adds what is known when the archive is closed, and keeps the index in
// the cache.
func (w *IndexWriter) Finish(layout archive.Layout) (*Index, error) {
	w.index.Layout = layout
	if err := w.frames(layout.Frames); err != nil {
		return nil, err
	}
	end, err := json.Marshal(endLine{
		Type: "end", Size: layout.Size, Stored: layout.Stored, CRC64NVME: hex16(layout.CRC64NVME),
		Contents: w.index.Contents, Frames: len(layout.Frames), Header: layout.Header,
	})
	if err != nil {
		return nil, err
	}
	if err := w.line(append(end, '\n')); err != nil {
		return nil, err
	}
	last := fmt.Appendf(nil, "{\"type\":\"mac\",\"mac\":\"%x\"}\n", w.mac.Sum(nil))
	if _, err := w.zstd.Write(last); err != nil {
		return nil, err
	}
	if err := w.zstd.Close(); err != nil {
		return nil, err
	}
	return &w.index, w.file.Keep(indexName(w.index.Archive))
}

type endLine struct {
	Type      string `json:"type"`
	Size      int64  `json:"size"`
	Stored    int64  `json:"stored"`
	CRC64NVME string `json:"crc64nvme"`
	Contents  int64  `json:"contents"`
	Frames    int    `json:"frames"`
	Header    []byte `json:"header,omitempty"`
}

func (w *IndexWriter) frames(frames []archive.Frame) error {
	for len(frames) > 0 {
		n := min(len(frames), framesPerLine)
		b := append(w.buf[:0], `{"type":"frames","frames":[`...)
		for i, f := range frames[:n] {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(strconv.AppendUint(append(b, '['), uint64(f.Compressed), 10), ',')
			b = append(strconv.AppendUint(b, uint64(f.Uncompressed), 10), ']')
		}
		if err := w.line(append(b, ']', '}', '\n')); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (w *IndexWriter) line(b []byte) error {
	w.buf = b
	w.mac.Write(b)
	if _, err := w.zstd.Write(b); err != nil {
		return fmt.Errorf("writing index of %s: %w", w.index.Archive, err)
	}
	return nil
}

// Discard gives the index up.
func (w *IndexWriter) Discard() error {
	w.zstd.Close()
	return w.file.Discard()
}

// indexName is an index's name in the cache.
func indexName(id tarn.ArchiveID) string { return indexesPrefix + string(id) + ".jsonl.zst" }

// verifyIndex reads a compressed index to its end and checks its MAC.
func (r *Repo) verifyIndex(src io.Reader) error {
	z, err := newDecoder(src)
	if err != nil {
		return err
	}
	defer z.Close()
	mac := r.key.newMAC(labelIndex)
	var end *macLine
	for line, err := range lines(io.LimitReader(z, maxIndex)) {
		switch {
		case err != nil:
			return err
		case end != nil:
			return fmt.Errorf("lines after its MAC: %w", unsealable(r.key))
		}
		if end = parseMAC(line); end == nil {
			mac.Write(line)
			mac.Write([]byte{'\n'})
		}
	}
	if _, err := io.Copy(io.Discard, src); err != nil {
		return err
	}
	if end == nil || !hmac.Equal(mac.Sum(nil), end[:]) {
		return fmt.Errorf("its MAC is missing or wrong: %w", unsealable(r.key))
	}
	return nil
}

type macLine [32]byte

// parseMAC returns the MAC of an index's last line, nil for another line.
func parseMAC(line []byte) *macLine {
	const open, end = `{"type":"mac","mac":"`, `"}`
	if len(line) != len(open)+64+len(end) || string(line[:len(open)]) != open {
		return nil
	}
	var m macLine
	if _, err := hex.Decode(m[:], line[len(open):len(open)+64]); err != nil {
		return nil
	}
	return &m
}
