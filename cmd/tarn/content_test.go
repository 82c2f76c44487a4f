package main

import (
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func newRandom(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// newContent returns n bytes that follow from the seed and do not compress.
func newContent(seed byte, n int) []byte {
	data := make([]byte, n)
	newRandom(seed).Read(data) // never fails, by its contract
	return data
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decompress returns what zstd makes of a file.
func decompress(t *testing.T, path string) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	data, err := d.DecodeAll(readFile(t, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sum(data []byte) [32]byte { return sha256.Sum256(data) }
