package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Cache keeps plaintext copies of metadata objects on this machine, so that an
// unchanged backup reads nothing from the storage and a machine without an
// identity can compare. It can be emptied at any time.
type Cache interface {
	// Open opens the copy under name; fs.ErrNotExist if there is none.
	Open(name string) (io.ReadCloser, error)
	// Create begins a copy whose name is given when it is kept.
	Create() (CacheFile, error)
	// Forget removes the copy under name, if there is one.
	Forget(name string) error
}

// CacheFile is a copy in the making. Exactly one of Keep and Discard ends it.
// It is an alias, so that a cache need not import this package.
type CacheFile = interface {
	io.Writer
	Keep(name string) error
	Discard() error
}

// Limits of what metadata may decode to, in bytes, whoever wrote it.
const (
	maxConfig   = 1 << 20
	maxKeys     = 16 << 20
	maxSnapshot = 64 << 20 // decoded, it takes twice that of memory
	maxIndex    = 1 << 30
	maxTree     = 1 << 40
)

// ErrColdMetadata says that an object which tarn writes to STANDARD has become
// cold: only a lifecycle rule of the bucket, or somebody's copy, does that.
var ErrColdMetadata = errors.New("a lifecycle rule has moved it out of STANDARD")

// cooled marks the error of an object that is no archive and is cold.
func cooled(err error) error {
	if errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) {
		return fmt.Errorf("%w: %w", ErrColdMetadata, err)
	}
	return err
}

// readSmall reads an object of at most limit bytes whole.
func readSmall(ctx context.Context, s storage.Storage, key string, limit int64) ([]byte, error) {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, cooled(err))
	}
	defer r.Close()
	data, err := readLimited(r, limit)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return data, nil
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, tarn.ErrDamaged)
	}
	return data, nil
}

// get opens an object and takes its encryption off.
func (r *Repo) get(ctx context.Context, key string) (io.ReadCloser, error) {
	ids, err := r.Identities() // without one, a machine need not ask for what it can't read
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	body, err := r.storage.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, cooled(err))
	}
	if !r.Encrypted() {
		return body, nil
	}
	plain, err := age.Decrypt(body, ids...)
	if err != nil {
		body.Close()
		return nil, fmt.Errorf("decrypting %s: %w: %w", key, tarn.ErrDamaged, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{decryptReader{plain, key}, body}, nil
}

// fetch brings an object into the cache under name, once verify has accepted
// it. One that is not accepted is read once more, since its bytes may have
// changed on their way.
func (r *Repo) fetch(ctx context.Context, key, name string, verify func(io.Reader) error) error {
	err := r.fetchOnce(ctx, key, name, verify)
	if errors.Is(err, tarn.ErrDamaged) || errors.Is(err, tarn.ErrNotAuthentic) {
		r.log.Info("reading an object again that arrived damaged", "name", key, "error", err)
		err = r.fetchOnce(ctx, key, name, verify)
	}
	return err
}

func (r *Repo) fetchOnce(ctx context.Context, key, name string, verify func(io.Reader) error) error {
	body, err := r.get(ctx, key)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := r.cache.Create()
	if err != nil {
		return err
	}
	if err := verify(io.TeeReader(body, f)); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Keep(name)
}

// decryptReader names the object in errors of its decryption.
type decryptReader struct {
	r   io.Reader
	key string
}

func (d decryptReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("decrypting %s: %w: %w", d.key, tarn.ErrDamaged, err)
	}
	return n, err
}

// put encrypts what src holds, if the repository is encrypted, and stores it
// in STANDARD under key.
func (r *Repo) put(ctx context.Context, key string, src io.Reader, size int64) error {
	opts := storage.PutOptions{Class: tarn.Standard, MaxSize: size}
	if r.Encrypted() {
		sealed, err := age.EncryptReader(src, r.recipients...)
		if err != nil {
			return fmt.Errorf("encrypting %s: %w", key, err)
		}
		src, opts.MaxSize = sealed, 0
	}
	_, err := r.storage.Put(ctx, key, src, opts)
	return err
}

func (r *Repo) putBytes(ctx context.Context, key string, data []byte) error {
	return r.put(ctx, key, bytes.NewReader(data), int64(len(data)))
}

// decoder decodes zstd with a bounded window. An error that is not its
// source's says that the bytes are damaged, whichever of zstd's it is. It comes from a pool, as encoders do.
type decoder struct {
	zstd *zstd.Decoder
	src  *watched
}

// watched remembers the error of a reader.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

var decoders = sync.Pool{New: func() any {
	// These options are always valid.
	z, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
	return z
}}

func newDecoder(src io.Reader) (*decoder, error) {
	w := &watched{r: src}
	z := decoders.Get().(*zstd.Decoder)
	if err := z.Reset(w); err != nil {
		return nil, err
	}
	return &decoder{z, w}, nil
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.zstd.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case d.src.err == nil, errors.Is(d.src.err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	return n, d.src.err
}

// Close gives the decoder back to the pool.
func (d *decoder) Close() {
	if d.zstd.Reset(nil) == nil {
		decoders.Put(d.zstd)
	}
}

// encoder is the counterpart of decoder. It goes back to a pool when it is
// closed, since a repository of many small splits makes thousands.
type encoder struct{ zstd *zstd.Encoder }

// Of trees and indexes, which are hashes in the main, zstd's fastest level
// makes less than its default: 21.1% and 27.8% instead of 22.0% and 28.9%.
var encoders = sync.Pool{New: func() any {
	// These options are always valid.
	z, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
	return z
}}

func newEncoder(dst io.Writer) *encoder {
	z := encoders.Get().(*zstd.Encoder)
	z.Reset(dst)
	return &encoder{z}
}

// Write implements io.Writer.
func (e *encoder) Write(p []byte) (int, error) { return e.zstd.Write(p) }

// Close writes the end of the frame. After that it does nothing.
func (e *encoder) Close() error {
	if e.zstd == nil {
		return nil
	}
	err := e.zstd.Close()
	e.zstd.Reset(nil)
	encoders.Put(e.zstd)
	e.zstd = nil
	return err
}
