package s3lab

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The lab asks a real server for little by itself: to make a bucket. For that
// it has to sign, as every client of S3 (AWS Signature Version 4).

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// sign signs a request without body and query, for S3 at a time. Its path must
// need no escape.
func sign(r *http.Request, access, secret, region string, at time.Time) {
	at = at.UTC()
	stamp, date := at.Format("20060102T150405Z"), at.Format("20060102")
	r.Header.Set("x-amz-date", stamp)
	r.Header.Set("x-amz-content-sha256", emptySHA256)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{
		r.Method, r.URL.Path, "",
		"host:" + r.URL.Host, "x-amz-content-sha256:" + emptySHA256, "x-amz-date:" + stamp, "",
		signed, emptySHA256,
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{date, region, "s3", "aws4_request"}, "/")
	key := hmacSHA256([]byte("AWS4"+secret), date)
	for _, part := range []string{region, "s3", "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	signature := hmacSHA256(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(sum[:]))
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", access, scope, signed, hex.EncodeToString(signature)))
}

// createUpstream makes a bucket on the real server. One that is the owner's
// already stays as it is.
func (l *Lab) createUpstream(ctx context.Context, name string) error {
	u := *l.cfg.Upstream
	u.Path = "/" + name
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), nil)
	if err != nil {
		return err
	}
	sign(r, l.cfg.AccessKey, l.cfg.SecretKey, l.cfg.Region, time.Now())
	client := &http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return err
	}
	switch code := errorCode(body); {
	case resp.StatusCode < 300, code == "BucketAlreadyOwnedByYou":
		return nil
	default:
		return fmt.Errorf("the server answers %s %s", resp.Status, code)
	}
}
