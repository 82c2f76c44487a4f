package s3lab

import (
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"syscall"
	"time"
)

// Proxy returns a reverse proxy to a real S3 server. It changes neither Host
// nor path, query or headers, so that the server can check the signature of
// what the client signed. A server that can't be reached is a 502; a connection that
// it closes, such as while it refuses a body that it has not read, is closed to the client.
func Proxy(upstream *url.URL) http.Handler { return newProxy(upstream) }

func newProxy(upstream *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = upstream.Scheme, upstream.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			p.Out.Host = p.In.Host
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			DisableCompression:  true, // or it would add a header that was not signed
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     30 * time.Second,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
				panic(http.ErrAbortHandler)
			}
			writeError(w, &request{Request: r}, newError(http.StatusBadGateway, "BadGateway", err.Error()))
		},
	}
}
