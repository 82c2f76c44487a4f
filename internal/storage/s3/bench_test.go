package s3_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// BenchmarkPut uploads to a server in this process: what it costs is the
// checksums, the signature and the copies of both sides.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{64 << 10, 4 << 20, 128 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			server := s3lab.New(s3lab.Config{})
			server.CreateBucket(bucket)
			s := open(b, config(serve(b, server)))
			data := storagetest.Content(1, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				if i%8 == 0 { // what the server keeps must not fill the memory
					b.StopTimer()
					server = s3lab.New(s3lab.Config{})
					server.CreateBucket(bucket)
					s = open(b, config(serve(b, server)))
					b.StartTimer()
				}
				if _, err := s.Put(b.Context(), fmt.Sprintf("key%d", i), bytes.NewReader(data), storage.PutOptions{MaxSize: int64(size)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
