package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tarn-backup/tarn"
)

// schemeS3 begins the name of a repository in S3.
const schemeS3 = "s3://"

// inS3 reports whether a location, as parsePlace returns it, is in S3.
func inS3(location string) bool { return strings.HasPrefix(location, schemeS3) }

// parsePlace reads the name of a repository and returns it in its one form: the
// absolute path of a folder, or s3://bucket/prefix. A colon before the first
// slash names a kind of storage, as in scp: to take what is none of ours for the name
// of a folder would put the backup on the disk that it is to survive.
func parsePlace(name string) (location string, err error) {
	if kind, rest, ok := strings.Cut(name, ":"); ok && kind != "" && filepath.VolumeName(name) == "" && !strings.ContainsAny(kind, `/\`) {
		if strings.EqualFold(kind, "s3") {
			return parseS3(name, rest)
		}
		return "", hinted{fmt.Errorf("repository %q: tarn keeps repositories in folders and in S3, and knows no %q", withoutPassword(name), withoutPassword(kind+":")), instead(name, kind, rest)}
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("repository %s: %w", name, err)
	}
	return abs, nil
}

// instead says what to write in the place of a name of no known kind.
func instead(name, kind, rest string) string {
	switch strings.ToLower(kind) {
	case "file":
		folder := strings.TrimPrefix(rest, "//")
		return fmt.Sprintf("Write the folder alone: %s", strings.TrimPrefix(folder, "localhost"))
	case "http", "https":
		return "Write s3://bucket/prefix, and name an S3 server other than AWS by --s3-endpoint URL."
	}
	if strings.HasPrefix(rest, "//") {
		return "Write s3://bucket/prefix, or the path of a folder."
	}
	return fmt.Sprintf("Write s3://bucket/prefix, or ./%s for a folder of that name.", withoutPassword(name))
}

// parseS3 reads what follows s3: in a name.
func parseS3(name, rest string) (string, error) {
	if lower := strings.ToLower(rest); strings.HasPrefix(lower, "http:") || strings.HasPrefix(lower, "https:") { // restic's way
		return "", hinted{fmt.Errorf("repository %q: want s3://bucket/prefix", withoutPassword(name)), endpointInstead(rest)}
	}
	place, ok := strings.CutPrefix(rest, "//")
	if !ok {
		hint := "Write s3://bucket/prefix"
		if bucket, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/"); checkBucket(bucket) == nil {
			hint = "Write s3://" + strings.TrimLeft(rest, "/")
		}
		return "", hinted{fmt.Errorf("repository %q: want s3://bucket/prefix", name), hint + ", or ./" + name + " for a folder of that name."}
	}
	bucket, prefix, _ := strings.Cut(place, "/")
	if login.MatchString(rest) {
		return "", hinted{fmt.Errorf("repository %q: credentials don't belong into its name", withoutPassword(name)), "Write s3://bucket/prefix, and see `tarn --help` for --aws-profile; AWS_ACCESS_KEY_ID works, too."}
	}
	if err := checkBucket(bucket); err != nil {
		return "", hinted{fmt.Errorf("repository %q: %w", withoutPassword(name), err), "Write s3://bucket/prefix; a server other than AWS is named by --s3-endpoint URL."}
	}
	if prefix = strings.Trim(prefix, "/"); prefix == "" {
		return schemeS3 + bucket, nil
	}
	if !tarn.ValidPath(prefix) {
		return "", hinted{fmt.Errorf("repository %q: %q is no prefix for the names of objects", name, prefix), "Write names with one slash between two, and none of them . or .. ."}
	}
	return schemeS3 + bucket + "/" + prefix, nil
}

// endpointInstead says how https://host/bucket/prefix is written here.
func endpointInstead(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "Write s3://bucket/prefix, and name the server by --s3-endpoint URL."
	}
	place := "bucket/prefix"
	if path := strings.Trim(u.Path, "/"); path != "" {
		place = path
	}
	return fmt.Sprintf("Write --repo s3://%s --s3-endpoint %s://%s", place, u.Scheme, u.Host)
}

// bucketName is what S3 takes, with the capitals and underscores of buckets that
// are older than its rules.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)

func checkBucket(name string) error {
	if name == "" {
		return errors.New("no bucket is named")
	}
	if _, err := netip.ParseAddr(name); err == nil || !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return fmt.Errorf("%q is no name of a bucket, which has 3 to 63 letters, digits, dots and hyphens", name)
	}
	return nil
}

// login is what stands before an @ where URLs have a user and a password. Secret
// keys may have slashes in them.
var login = regexp.MustCompile(`//([^/@]*|[^/@:]*:[^@]*)@`)

// withoutPassword returns a name of a repository for messages.
func withoutPassword(name string) string { return login.ReplaceAllString(name, "//…@") }

// once is the value of a flag that can be given once: of two repositories the
// last would win, and the first go without its backup.
type once struct {
	value *string
	given bool
}

// Set takes the first value.
func (o *once) Set(value string) error {
	if o.given {
		return errors.New("it is given twice, and a command works on one")
	}
	*o.value, o.given = value, true
	return nil
}

// String returns the value.
func (o *once) String() string {
	if o.value == nil { // as of the zero value, which pflag makes for its help
		return ""
	}
	return *o.value
}

// Type is what the help calls a value.
func (o *once) Type() string { return "string" }
