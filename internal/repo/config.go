package repo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Format is the number of the format that this package writes, and the
// greatest that it reads. 1: the first (2026-11).
const Format = 1

// Config is tarn.json.
type Config struct {
	Format       int        `json:"format"`
	ID           string     `json:"id"`
	Created      time.Time  `json:"created"`
	Encryption   string     `json:"encryption"` // "age" or "none"
	Key          string     `json:"key,omitempty"`
	Compression  string     `json:"compression"`
	StorageClass tarn.Class `json:"storage_class"`
}

// errNewer says that a newer program has made the repository.
var errNewer = errors.New("use a newer tarn")

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (c *Config) encode() ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	return append(b, '\n'), err
}

// ParseConfig reads and checks the bytes of tarn.json.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	id, err := hex.DecodeString(c.ID)
	if err == nil && hex.EncodeToString(id) != c.ID { // one text form, which is a folder's name on this machine
		err = fs.ErrInvalid
	}
	switch {
	case c.Format > Format:
		return c, fmt.Errorf("format %d is newer than this program, which reads up to %d: %w", c.Format, Format, errNewer)
	case c.Format < 1 || err != nil || len(id) != 16:
		return c, fmt.Errorf("no format or id: %w", tarn.ErrDamaged)
	case c.Encryption == "none" && c.Key == "":
		return c, nil
	case c.Encryption == "age" && len(c.Key) == 64:
		return c, nil
	}
	return c, fmt.Errorf("encryption %.20q with key %.80q: %w", c.Encryption, c.Key, tarn.ErrDamaged)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ReadConfig reads tarn.json alone, which says which repository it is before
// anything of it is trusted. fs.ErrNotExist: there is no repository.
func ReadConfig(ctx context.Context, s storage.Storage) (Config, error) {
	data, err := readSmall(ctx, s, configName, maxConfig)
	if err != nil {
		return Config{}, err
	}
	cfg, err := ParseConfig(data)
	if err != nil {
		return cfg, fmt.Errorf("%s of %s: %w", configName, s.Location(), err)
	}
	return cfg, nil
}
