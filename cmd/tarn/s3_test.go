package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestS3Advice: whoever sets S3 up for the first time gets an error at once that
// names what is wrong, and a line that says which flag or variable mends it.
func TestS3Advice(t *testing.T) {
	says := func(status int, code, message string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if r.Method != http.MethodHead {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	key := []string{"AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=labsecret"}
	for name, test := range map[string]struct {
		endpoint string
		env      []string
		args     []string
		want     []string
	}{
		"no server":      {"http://127.0.0.1:1", key, nil, []string{"connection refused", "--s3-endpoint, AWS_ENDPOINT_URL_S3"}},
		"no name":        {"http://no-such-server.invalid", key, nil, []string{"no-such-server.invalid", "--s3-endpoint, AWS_ENDPOINT_URL_S3"}},
		"no URL":         {"server:9000", key, nil, []string{`endpoint "server:9000": want a URL`}},
		"no TLS":         {strings.Replace(web.URL, "http:", "https:", 1), key, nil, []string{"HTTPS client", "--s3-endpoint http://"}},
		"no credentials": {web.URL, nil, nil, []string{"finding AWS credentials: there are none", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile"}},
		"no profile":     {web.URL, key, []string{"--aws-profile", "absent"}, []string{`no such profile: "absent"`, "--aws-profile or AWS_PROFILE"}},
		"no bucket":      {says(404, "NoSuchBucket", "no"), key, nil, []string{"the bucket some-bucket does not exist", "Make the bucket first"}},
		"a region":       {says(400, "AuthorizationHeaderMalformed", "expecting 'eu-north-1'"), key, nil, []string{"in another region (eu-north-1)", "--aws-region eu-north-1"}},
		"some region":    {says(301, "PermanentRedirect", "no"), key, nil, []string{"in another region", "--aws-region or AWS_REGION"}},
		"a wrong secret": {says(403, "SignatureDoesNotMatch", "no"), key, nil, []string{"SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY, or --aws-profile"}},
		"a policy":       {says(403, "AccessDenied", "no"), key, nil, []string{"access denied", "s3:ListBucket"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			p.env = append(p.env, "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_S3="+test.endpoint,
				"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
			p.env = append(p.env, test.env...)
			for _, command := range []string{"snapshots", "init"} {
				code, out, errs := p.run(append([]string{command, "-r", "s3://some-bucket/prefix"}, test.args...)...)
				if code != exitFailed || out != "" || strings.Contains(errs, "labsecret") {
					t.Errorf("%s: exit code %d\n%s%s", command, code, out, errs)
				}
				for _, want := range test.want {
					if !strings.Contains(errs, want) {
						t.Errorf("%s: want %q in\n%s", command, want, errs)
					}
				}
			}
		})
	}
}

// TestS3Servers: the same from a server that others wrote.
func TestS3Servers(t *testing.T) {
	e := storagetest.Versitygw(t)
	p := newPerson(t)
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_S3="+e.URL, "AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_REGION="+e.Region, "AWS_ACCESS_KEY_ID="+e.AccessKey, "AWS_SECRET_ACCESS_KEY="+e.SecretKey)
	own := p.env
	fails := func(want string, args ...string) {
		t.Helper()
		if code, _, errs := p.run(args...); code != exitFailed || !strings.Contains(errs, want) || strings.Contains(errs, "labsecret") {
			t.Errorf("%v: exit code %d, want %q in\n%s", args, code, want, errs)
		}
	}
	place := "s3://" + e.Bucket + "/prefix"
	p.must("init", "-q", "-r", place)
	for _, command := range []string{"snapshots", "init"} {
		p.env = own
		fails("Make the bucket first", command, "-r", "s3://there-is-no-such-bucket/p")
		fails("--aws-region "+e.Region, command, "-r", place, "--aws-region", "eu-west-9")
		p.env = append(own[:len(own):len(own)], "AWS_SECRET_ACCESS_KEY=wrong")
		fails("AWS_SECRET_ACCESS_KEY, or --aws-profile", command, "-r", place)
		p.env = append(own[:len(own):len(own)], "AWS_ACCESS_KEY_ID=nobody")
		fails("AWS_SECRET_ACCESS_KEY, or --aws-profile", command, "-r", place)
	}
	p.env = own
	fails("no repository in s3://"+e.Bucket+"/elsewhere", "snapshots", "-r", "s3://"+e.Bucket+"/elsewhere")
}
