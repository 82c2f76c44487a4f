package tarball_test

import (
	"maps"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// A connection that is lost again and again goes on by ranges where it was, and
// the archive is proved. One bit that changed on its way is found, and nothing is proved.
func TestLostConnection(t *testing.T) {
	for _, c := range []struct {
		kind   s3lab.Kind
		times  int
		proved bool
	}{{s3lab.CutDownload, 5, true}, {s3lab.ErrorBefore, 2, true}, {s3lab.FlipDownload, 1, false}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			server := s3lab.New(s3lab.Config{})
			server.CreateBucket("b")
			faults := s3lab.NewFaults(server)
			web := httptest.NewServer(faults)
			t.Cleanup(web.Close)
			s, err := s3.Open(t.Context(), s3.Config{
				Bucket: "b", Endpoint: web.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "s", MinDelay: time.Millisecond, MaxDelay: time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"one": string(e2e.Content(1, 3<<20)), "two": string(e2e.Content(2, 1<<20))}
			script(t, folder(t, want), 1).put(t, s, "disk/x"+tarball.Suffix)
			left := c.times
			faults.Choose(func(r s3lab.Record) s3lab.Kind {
				if left == 0 || r.Method != "GET" || !strings.HasSuffix(r.Key, tarball.Suffix) {
					return s3lab.NoFault
				}
				left--
				return c.kind
			})
			b, err := tarball.Look(t.Context(), s, "disk", now)
			if err != nil || len(b.Archives) != 1 {
				t.Fatalf("%+v, %v", b, err)
			}
			dir := t.TempDir()
			res, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: b.Archives[0], Overwrite: tarball.Changed}, dir)
			if left != 0 || faults.Fired() != c.times {
				t.Errorf("%d faults have not fired", left)
			}
			if !c.proved {
				if err == nil && len(problems) == 0 || err != nil && !strings.Contains(err.Error(), tarn.ErrDamaged.Error()) || res.Proved {
					t.Errorf("proved %v, %v, %v", res.Proved, problems, err)
				}
				return
			}
			if err != nil || len(problems) > 0 || !res.Proved || !maps.Equal(files(t, filepath.Join(dir, "x")), want) {
				t.Errorf("proved %v, %v, %v", res.Proved, problems, err)
			}
		})
	}
}
