package repo

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/tarn-backup/tarn"
)

// Sealed JSON is one object whose last member is a MAC of all bytes before it.
const (
	sealOpen  = `,"mac":"`
	sealClose = "\"}\n"
	sealLen   = len(sealOpen) + 64 + len(sealClose)
)

// seal encodes v, a struct with at least one member that is always present,
// as sealed JSON.
func seal(key Key, label string, v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("}\n"))
	mac := key.newMAC(label)
	mac.Write(body)
	out := append(body, sealOpen...)
	out = hex.AppendEncode(out, mac.Sum(nil))
	return append(out, sealClose...), nil
}

// unseal decodes sealed JSON into v after its MAC was found right.
func unseal(key Key, label string, data []byte, v any) error {
	if err := checkSeal(key, label, data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	return nil
}

func checkSeal(key Key, label string, data []byte) error {
	n := len(data) - sealLen
	if n <= 0 || !bytes.HasPrefix(data[n:], []byte(sealOpen)) || !bytes.HasSuffix(data, []byte(sealClose)) {
		return fmt.Errorf("no MAC at its end: %w", unsealable(key))
	}
	var want [32]byte
	if _, err := hex.Decode(want[:], data[n+len(sealOpen):len(data)-len(sealClose)]); err != nil {
		return fmt.Errorf("no MAC at its end: %w", unsealable(key))
	}
	mac := key.newMAC(label)
	mac.Write(data[:n])
	if !hmac.Equal(mac.Sum(nil), want[:]) {
		return fmt.Errorf("its MAC is wrong: %w", unsealable(key))
	}
	return nil
}

// unsealable is what a wrong MAC proves: without a key only damage.
func unsealable(key Key) error {
	if key.IsZero() {
		return tarn.ErrDamaged
	}
	return tarn.ErrNotAuthentic
}
