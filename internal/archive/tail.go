package archive

import (
	"bytes"
	"context"
	"crypto/cipher"
	"io"
)

// tailReader reads ranges of the payload while the frames are not known yet.
type tailReader struct {
	ctx     context.Context // of ReadLayout; it lives no longer
	r       Ranger
	layout  *Layout
	key     cipher.AEAD // nil if not encrypted
	payload int64
}

func (t *tailReader) read(offset, length int64) ([]byte, error) {
	if t.key == nil {
		return readRange(t.ctx, t.r, offset, length)
	}
	first, last := offset/chunkSize, (offset+length-1)/chunkSize
	head := int64(len(t.layout.Header))
	from, to := head+first*chunkStore, min(head+(last+1)*chunkStore, t.layout.Stored)
	sealed, err := readRange(t.ctx, t.r, from, to-from)
	if err != nil {
		return nil, err
	}
	src := &chunkReader{src: bytes.NewReader(sealed), aead: t.key, next: first, last: (t.payload - 1) / chunkSize}
	if _, err := io.CopyN(io.Discard, src, offset-first*chunkSize); err != nil {
		return nil, noEOF(err)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(src, b); err != nil {
		return nil, noEOF(err)
	}
	return b, nil
}
