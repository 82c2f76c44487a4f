package archive

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/tarn-backup/tarn"
)

// age's payload (age-encryption.org/v1, "Payload"): chunks of 64 KiB, each
// sealed with ChaCha20-Poly1305 under HKDF-SHA-256(file key, salt = nonce,
// "payload"), with an 11-byte big endian counter and a byte that is 1 in the
// last chunk for a nonce.
const (
	chunkSize  = 64 << 10
	chunkStore = chunkSize + chacha20poly1305.Overhead
	nonceSize  = 16
)

// sealedSize is the size of a payload of n bytes when it is encrypted.
func sealedSize(n int64) int64 {
	chunks := max((n+chunkSize-1)/chunkSize, 1)
	return n + chunks*chacha20poly1305.Overhead
}

// payloadKey opens the header of a layout.
func payloadKey(header []byte, ids []age.Identity) (cipher.AEAD, error) {
	if len(header) <= nonceSize {
		return nil, fmt.Errorf("age header is cut: %w", tarn.ErrDamaged)
	}
	if len(ids) == 0 {
		return nil, tarn.ErrNoIdentity
	}
	head, nonce := header[:len(header)-nonceSize], header[len(header)-nonceSize:]
	fileKey, err := age.DecryptHeader(head, ids...)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, fmt.Errorf("%w: %w", tarn.ErrNoIdentity, err)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	key, err := hkdf.Key(sha256.New, fileKey, nonce, "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(key)
}

// chunkReader decrypts chunks from the first-th on; last is the number of the
// last chunk of the payload.
type chunkReader struct {
	src   io.Reader
	aead  cipher.AEAD
	next  int64
	last  int64
	buf   []byte
	plain []byte
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		if c.next > c.last {
			return 0, io.EOF
		}
		if err := c.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *chunkReader) chunk() error {
	if c.buf == nil {
		c.buf = make([]byte, chunkStore)
	}
	n, err := io.ReadFull(c.src, c.buf)
	if c.next == c.last && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err != nil {
		return noEOF(err)
	}
	var nonce [chacha20poly1305.NonceSize]byte
	for i, v := 10, c.next; i > 2; i, v = i-1, v>>8 {
		nonce[i] = byte(v)
	}
	if c.next == c.last {
		nonce[11] = 1
	}
	if c.plain, err = c.aead.Open(c.buf[:0], nonce[:], c.buf[:n], nil); err != nil {
		return fmt.Errorf("decrypting chunk %d: %w", c.next, tarn.ErrDamaged)
	}
	c.next++
	return nil
}

// noEOF turns the end of a source that should have gone on into an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("object is cut: %w", tarn.ErrDamaged)
	}
	return err
}
