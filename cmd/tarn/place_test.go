package main

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestParsePlace: what is meant as a place elsewhere never becomes a folder
// here, and no message repeats a password.
func TestParsePlace(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, want, hint string }{
		{"folder", filepath.Join(here, "folder"), ""},
		{"/some//folder/", "/some/folder", ""},
		{"./s3:x", filepath.Join(here, "s3:x"), ""},
		{"./a://b", filepath.Join(here, "a:", "b"), ""},
		{"a/b:c", filepath.Join(here, "a", "b:c"), ""},
		{":x", filepath.Join(here, ":x"), ""},
		{"s3://bucket/prefix", "s3://bucket/prefix", ""},
		{"S3://bucket/some/prefix/", "s3://bucket/some/prefix", ""},
		{"s3://bucket//prefix", "s3://bucket/prefix", ""},
		{"s3://bucket/", "s3://bucket", ""},
		{"s3://bucket/100%25?x#y", "s3://bucket/100%25?x#y", ""},
		{"s3://Old_Bucket.x", "s3://Old_Bucket.x", ""},

		{"s3:bucket/x", "", "Write s3://bucket/x, or ./s3:bucket/x for"},
		{"s3:/bucket/x", "", "Write s3://bucket/x, or ./s3:/bucket/x for"},
		{"s3:/x", "", "Write s3://bucket/prefix, or"},
		{"s3:", "", "Write s3://bucket/prefix, or"},
		{"s3://", "", "Write s3://bucket/prefix"},
		{"s3:///x", "", "Write s3://bucket/prefix"},
		{"s3://ab/x", "", "--s3-endpoint"},
		{"s3://-bucket/x", "", "--s3-endpoint"},
		{"s3://a..b/x", "", "--s3-endpoint"},
		{"s3://bucket?region=x/y", "", "--s3-endpoint"},
		{"s3://127.0.0.1/x", "", "--s3-endpoint"},
		{"s3://host:9000/bucket", "", "--s3-endpoint"},
		{"s3://" + strings.Repeat("b", 64), "", "--s3-endpoint"},
		{"s3://key:s3cret@bucket/x", "", "--aws-profile"},
		{"s3://s3cret@bucket/x", "", "--aws-profile"},
		{"s3://key:s3cret/s3cret@bucket/x", "", "--aws-profile"},
		{"s3://bucket/../x", "", "one slash"},
		{"s3://bucket/a//b", "", "one slash"},
		{"s3:https://host:9000/bucket/x", "", "--repo s3://bucket/x --s3-endpoint https://host:9000"},
		{"s3:http://key:s3cret@host/bucket", "", "--repo s3://bucket --s3-endpoint http://host"},
		{"s3:http://", "", "--s3-endpoint URL"},
		{"https://host/bucket", "", "--s3-endpoint"},
		{"http://key:s3cret@host", "", "--s3-endpoint"},
		{"file:///some/folder", "", "the folder alone: /some/folder"},
		{"file:/some/folder", "", "the folder alone: /some/folder"},
		{"sftp:user@host:/x", "", "./sftp:user@host:/x for a folder"},
		{"sftp://user:s3cret@host/x", "", "s3://bucket/prefix"},
		{"rest:http://user:s3cret@host/", "", "s3://bucket/prefix"},
		{"b2:bucket:x", "", "s3://bucket/prefix"},
		{"rclone:remote:x", "", "s3://bucket/prefix"},
		{"gs:", "", "s3://bucket/prefix"},
		{"gs://x", "", "s3://bucket/prefix"},
		{"azure:x:/", "", "s3://bucket/prefix"},
		{"swift:x:/", "", "s3://bucket/prefix"},
		{"nas:/backup", "", "./nas:/backup for a folder"},
	} {
		if runtime.GOOS == "windows" && test.want != "" && !inS3(test.want) {
			continue // its folders have other names, as below
		}
		got, err := parsePlace(test.name)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
			continue
		}
		if err == nil {
			continue
		}
		var h hinted
		if !errors.As(err, &h) || !strings.Contains(h.hint, test.hint) || !strings.Contains(err.Error(), "repository \"") {
			t.Errorf("%s: %v\n%s\nwant %s", test.name, err, h.hint, test.hint)
		}
		if strings.Contains(err.Error()+h.hint, "s3cret") {
			t.Errorf("%s: a password in %v\n%s", test.name, err, h.hint)
		}
	}
	if got, err := parsePlace(`C:\backup`); (err == nil) != (runtime.GOOS == "windows") {
		t.Errorf("a drive: %q, %v", got, err)
	}
}
