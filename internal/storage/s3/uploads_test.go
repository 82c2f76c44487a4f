package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// begin begins an upload that nobody ends, as a process that is killed does.
func begin(t *testing.T, at storagetest.Endpoint, keys ...string) {
	t.Helper()
	c := sdk.New(sdk.Options{
		BaseEndpoint: &at.URL, Region: at.Region, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(at.AccessKey, at.SecretKey, ""),
	})
	for _, key := range keys {
		if _, err := c.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: aws.String(at.Bucket), Key: aws.String(key)}); err != nil {
			t.Fatal(err)
		}
	}
}

// What killed uploads leave behind is listed by each server that can tell.
func TestUnfinished(t *testing.T) {
	for name, start := range map[string]func(testing.TB) storagetest.Endpoint{"versitygw": storagetest.Versitygw, "moto": storagetest.Moto} {
		t.Run(name, func(t *testing.T) {
			at := start(t)
			began := time.Now()
			begin(t, at, "disk/a b.tar.gz", "disk/a b.tar.gz", "disk/é+", "other/x")
			for prefix, want := range map[string][]string{"": {"a b.tar.gz", "a b.tar.gz", "é+"}, "none": nil} {
				s, err := s3.Open(t.Context(), s3.Config{Bucket: at.Bucket, Prefix: "disk" + prefix, Endpoint: at.URL, Region: at.Region, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for u, err := range s.Unfinished(t.Context(), "") {
					if err != nil {
						t.Fatal(err)
					}
					if got = append(got, u.Key); u.ID == "" || u.Begun.IsZero() || name != "moto" && u.Begun.Sub(began).Abs() > time.Minute { // moto tells the same time of all
						t.Errorf("%+v", u)
					}
				}
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	_, _, url := lab(t, s3lab.Config{})
	for _, err := range open(t, config(url)).Unfinished(context.Background(), "") {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a server that can't tell says %v", err)
		}
	}
}

// More uploads than one answer has come page by page; a server that goes round in
// circles is refused.
func TestUnfinishedPages(t *testing.T) {
	circles := false
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, next := "a", "<IsTruncated>true</IsTruncated><NextKeyMarker>a%2Bb</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>"
		if q := r.URL.Query(); q.Get("key-marker") == "a+b" && q.Get("upload-id-marker") == "1" && !circles {
			key, next = "b", "<IsTruncated>false</IsTruncated>"
		}
		fmt.Fprintf(w, `<ListMultipartUploadsResult><EncodingType>url</EncodingType>%s<Upload><Key>p/%s</Key><UploadId>1</UploadId></Upload></ListMultipartUploadsResult>`, next, key)
	}))
	cfg := config(url)
	cfg.Prefix = "p"
	s := open(t, cfg)
	list := func() (keys []string, err error) {
		for u, err := range s.Unfinished(t.Context(), "") {
			if err != nil {
				return keys, err
			}
			keys = append(keys, u.Key)
		}
		return keys, nil
	}
	if got, err := list(); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q, %v", got, err)
	}
	circles = true
	if got, err := list(); err == nil || len(got) != 1 {
		t.Errorf("in circles: %q, %v", got, err)
	}
}
