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

// A keys object is sealed JSON with one more member at its end, a plain sum of
// all before: it tells damage, also of the MAC, from what a stranger wrote, and
// tells it to who doesn't know the key yet.
const (
	sumOpen  = `,"sum":"`
	sumLen   = len(sumOpen) + 64 + len(sealClose)
	sumAfter = "}\n" // of the sealed JSON, which the sum takes the place of
)

func sealKeys(key Key, k *keysObject) ([]byte, error) {
	data, err := seal(key, labelKeys, k)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimSuffix(data, []byte(sumAfter))
	return append(data, sumOpen+digest(data)+sealClose...), nil
}

// checkSum returns the sealed JSON in a keys object.
func checkSum(data []byte) ([]byte, error) {
	n := max(len(data)-sumLen, 0)
	if string(data[n:]) != sumOpen+digest(data[:n])+sealClose {
		return nil, fmt.Errorf("its sum is wrong: %w", tarn.ErrDamaged)
	}
	return append(bytes.Clone(data[:n]), sumAfter...), nil
}
