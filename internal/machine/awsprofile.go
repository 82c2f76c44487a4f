package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tarn-backup/tarn/internal/durable"
)

// Credentials is the file in which AWS's programs keep access keys, by profile.
type Credentials string

// AWSCredentials returns the user's own file of credentials.
func AWSCredentials(getenv func(string) string) (Credentials, error) {
	if path := getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" {
		return Credentials(path), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the AWS credentials: %w (set HOME)", err)
	}
	return Credentials(filepath.Join(home, ".aws", "credentials")), nil
}

// Profile is an access key with the region that it is used in.
type Profile struct {
	Name              string
	AccessKey, Secret string
	Region            string
}

// Save writes a profile in the place of the one of its name. All else in the
// file stays as it is, and nobody but the user may read it.
func (c Credentials) Save(p Profile) error {
	section := fmt.Sprintf("[%s]\n# made by tarn cloud\naws_access_key_id = %s\naws_secret_access_key = %s\nregion = %s\n", p.Name, p.AccessKey, p.Secret, p.Region)
	return c.replace(p.Name, section)
}

// Remove removes a profile, if it is there.
func (c Credentials) Remove(name string) error {
	if id, err := c.AccessKey(name); id == "" || err != nil {
		return err
	}
	return c.replace(name, "")
}

// Check says whether Save could write the file, before there is something that
// must not be lost.
func (c Credentials) Check() error {
	_, path, err := c.read()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(filepath.Dir(path), ".tarn-")
	}
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("looking whether %s can be written: %w", string(c), err)
	}
	return nil
}

// AccessKey returns the id of a profile's access key; "" if it has none.
func (c Credentials) AccessKey(name string) (string, error) {
	data, _, err := c.read()
	if err != nil {
		return "", fmt.Errorf("reading the AWS credentials: %w", err)
	}
	from, to := section(data, name)
	if m := accessKeyLine.FindSubmatch(data[from:to]); m != nil {
		return string(m[1]), nil
	}
	return "", nil
}

var accessKeyLine = regexp.MustCompile(`(?m)^[ \t]*aws_access_key_id[ \t]*=[ \t]*(\S+)`)

// read returns the file and where it really is: a link to it is to stay one.
func (c Credentials) read() (data []byte, path string, err error) {
	path = string(c)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, path, nil
	} else if err != nil {
		return nil, path, err
	}
	if !info.Mode().IsRegular() {
		return nil, path, fmt.Errorf("%s is no file", path)
	}
	data, err = os.ReadFile(path)
	return data, path, err
}

func (c Credentials) replace(name, text string) error {
	data, path, err := c.read()
	if err != nil {
		return fmt.Errorf("changing the profile %s: %w", name, err)
	}
	from, to := section(data, name)
	var b bytes.Buffer
	b.Write(data[:from])
	if text != "" && b.Len() > 0 && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	b.WriteString(text)
	b.Write(data[to:])
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("changing the profile %s: %w", name, err)
	}
	if err := durable.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("changing the profile %s: %w", name, err)
	}
	return nil
}

// section returns where a profile stands in the file, up to the next one; the
// end of the file, twice, if it does not.
func section(data []byte, name string) (from, to int) {
	at, found := 0, false
	for line := range bytes.Lines(data) {
		header := strings.TrimSpace(string(line))
		if strings.HasPrefix(header, "[") {
			if found {
				return from, at
			}
			inner, _, _ := strings.Cut(header[1:], "]")
			if strings.TrimSpace(inner) == name {
				from, found = at, true
			}
		}
		at += len(line)
	}
	if !found {
		return len(data), len(data)
	}
	return from, len(data)
}
