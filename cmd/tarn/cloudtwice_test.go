package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// interruption stands before a server and does something once, between the request
// that makes an access key and the next one, which tries it.
type interruption struct {
	next *httputil.ReverseProxy
	do   func()

	mu    sync.Mutex
	armed bool
	made  bool
}

func (i *interruption) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := action(r)
	i.mu.Lock()
	now := i.armed && i.made
	if now {
		i.armed = false
	}
	i.made = i.armed && name == "CreateAccessKey"
	i.mu.Unlock()
	if now {
		i.do()
	}
	i.next.ServeHTTP(w, r)
}

// TestCloudTwice: two runs change the same access key at once, from one home. The
// second leaves alone what the first is making, and says so.
func TestCloudTwice(t *testing.T) {
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	i := &interruption{next: httputil.NewSingleHostReverseProxy(server)}
	proxy := httptest.NewServer(i)
	t.Cleanup(proxy.Close)
	h := &heard{person: deployer(t, proxy.URL)}
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD")
	for _, second := range [][]string{{"rotate"}, {"rotate", "--remove", "AKIANOTHERE"}, {"deploy"}} {
		code, said := 0, ""
		i.do = func() {
			var out, errs string
			code, out, errs = h.run(append(append([]string{"cloud"}, second...), "--yes")...)
			said = out + errs
		}
		i.armed = true
		h.mustDo("cloud", "rotate", "--yes")
		if code != exitFailed || !strings.Contains(said, "another tarn is changing the access keys of tarn-Machine1") || !strings.Contains(said, "once that has ended") {
			t.Errorf("%v: exit code %d\n%s", second, code, said)
		}
		if mine, others := h.keysOf("tarn"); mine != 1 || others != 0 {
			t.Fatalf("%v: %d keys of this machine, %d others", second, mine, others)
		}
	}
}
