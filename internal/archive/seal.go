package archive

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/tarn-backup/tarn"
)

// age's payload (age-encryption.org/v1, "Payload"): chunks of 64 KiB, each
// sealed with ChaCha20-Poly1305 under HKDF-SHA-256(file key, salt = nonce,
// info = "payload"). A chunk's nonce is its number, 11 bytes big endian, and a
// byte that is 1 in the last chunk.
const (
	chunkSize  = 64 << 10
	chunkStore = chunkSize + chacha20poly1305.Overhead
	nonceSize  = 16
	ageIntro   = "age-encryption.org/v1\n"
)

// isAge reports whether an object that begins with b is encrypted.
func isAge(b []byte) bool { return bytes.HasPrefix(b, []byte(ageIntro)) }

// sealedSize is the size of a payload of n bytes when it is encrypted.
func sealedSize(n int64) int64 {
	chunks := max((n+chunkSize-1)/chunkSize, 1)
	return n + chunks*chacha20poly1305.Overhead
}

// openedSize is the inverse of sealedSize; false if nothing has that size.
func openedSize(n int64) (int64, bool) {
	chunks := (n + chunkStore - 1) / chunkStore
	plain := n - chunks*chacha20poly1305.Overhead
	return plain, n > 0 && plain >= 0 && sealedSize(plain) == n
}

// payloadKey opens an age header with the nonce after it.
func payloadKey(header []byte, ids []age.Identity) (cipher.AEAD, error) {
	if len(header) <= nonceSize {
		return nil, fmt.Errorf("reading the age header: it is cut: %w", tarn.ErrDamaged)
	}
	if len(ids) == 0 {
		return nil, tarn.ErrNoIdentity
	}
	head, nonce := header[:len(header)-nonceSize], header[len(header)-nonceSize:]
	if parsed, err := age.ExtractHeader(bytes.NewReader(head)); err != nil || len(parsed) != len(head) {
		return nil, fmt.Errorf("reading the age header: %w", errors.Join(tarn.ErrDamaged, err))
	}
	fileKey, err := age.DecryptHeader(head, ids...)
	if err != nil {
		return nil, unwrapError(err, ids)
	}
	key, err := hkdf.Key(sha256.New, fileKey, nonce, "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of an archive: %w", err)
	}
	return chacha20poly1305.New(key)
}

// unwrapError says what it means that identities don't open a header: none is
// meant, or the header is damaged. A plugin or a person may have failed as well.
func unwrapError(err error, ids []age.Identity) error {
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return fmt.Errorf("%w: none at hand fits", tarn.ErrNoIdentity)
	}
	for _, id := range ids {
		switch id.(type) {
		case *age.X25519Identity, *age.HybridIdentity, *age.ScryptIdentity:
		default:
			return fmt.Errorf("opening the age header: %w", err)
		}
	}
	return fmt.Errorf("opening the age header: %w: %w", tarn.ErrDamaged, err)
}

// object is an archive's object as one sees it through its encryption: plain
// bytes, the zstd frames and the seek table.
type object struct {
	ranger Ranger
	aead   cipher.AEAD // nil if not encrypted
	head   int64       // bytes of the age header and the nonce
	plain  int64       // bytes
}

// place returns the range of the object that holds a range of the plain bytes,
// which is not empty.
func (o *object) place(from, to int64) (offset, length int64) {
	if o.aead == nil {
		return from, to - from
	}
	start := from / chunkSize * chunkStore
	end := min((to+chunkSize-1)/chunkSize*chunkStore, sealedSize(o.plain))
	return o.head + start, end - start
}

// open returns the plain bytes from from on; who reads it stops at to. It asks
// the ranger once.
func (o *object) open(ctx context.Context, from, to int64) (*plainRange, error) {
	offset, length := o.place(from, to)
	body, err := o.ranger(ctx, offset, length)
	if err != nil {
		return nil, err
	}
	src := &ctxReader{ctx, body}
	if o.aead == nil {
		return &plainRange{src, body}, nil
	}
	c := &chunkReader{src: src, aead: o.aead, next: from / chunkSize, plain: o.plain, skip: int(from % chunkSize)}
	return &plainRange{c, body}, nil
}

type plainRange struct {
	io.Reader
	body io.Closer
}

// Close closes the range of the object.
func (p *plainRange) Close() error { return p.body.Close() }

// ctxReader ends with its context, at the latest when the read under way does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// chunkReader decrypts chunks from a given one on.
type chunkReader struct {
	src   io.Reader
	aead  cipher.AEAD
	next  int64 // number of the chunk
	plain int64 // bytes of the whole payload
	skip  int   // bytes of the next chunk that are not wanted
	buf   []byte
	rest  []byte // decrypted and not read, in buf
}

// Read implements io.Reader.
func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.next*chunkSize >= c.plain {
			return 0, io.EOF
		}
		if err := c.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *chunkReader) chunk() error {
	if c.buf == nil {
		c.buf = make([]byte, chunkStore)
	}
	size := min(chunkSize, c.plain-c.next*chunkSize)
	buf := c.buf[:size+chacha20poly1305.Overhead]
	if _, err := io.ReadFull(c.src, buf); err != nil {
		return noEOF(err)
	}
	var nonce [chacha20poly1305.NonceSize]byte
	binary.BigEndian.PutUint64(nonce[3:11], uint64(c.next))
	if (c.next+1)*chunkSize >= c.plain {
		nonce[11] = 1
	}
	opened, err := c.aead.Open(buf[:0], nonce[:], buf, nil)
	if err != nil {
		return fmt.Errorf("decrypting chunk %d: %w", c.next, tarn.ErrDamaged)
	}
	c.rest = opened[c.skip:]
	c.skip = 0
	c.next++
	return nil
}

// noEOF turns the end of an object that should have gone on into damage.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("object ends early: %w: %w", tarn.ErrDamaged, io.ErrUnexpectedEOF)
	}
	return err
}
