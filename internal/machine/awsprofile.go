package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// The lines that are this program's in a profile of its own.
const (
	accessKeyLine = "aws_access_key_id"
	secretLine    = "aws_secret_access_key"
	regionLine    = "region"
	ownComment    = "# made by tarn cloud"
)

// ErrNotOurs says that a profile has a key that is not to be lost.
var ErrNotOurs = errors.New("it has another access key, whose secret may be nowhere else")

// Save writes a profile in the place of the one of its name, which has to have
// the access key that is replaced. All else in the file stays as it is, and nobody but
// the user may read it.
func (c Credentials) Save(p Profile, replaces string) error {
	return c.change(p.Name, func(f ini, from, to int) (ini, error) {
		lines := []pair{{accessKeyLine, p.AccessKey}, {secretLine, p.Secret}, {regionLine, p.Region}}
		if from == to {
			return f.add(p.Name, ownComment, lines), nil
		}
		if has := f.get(from, to, accessKeyLine); has != replaces && has != p.AccessKey {
			return nil, ErrNotOurs
		}
		return f.set(from, to, lines), nil
	})
}

// Remove removes an access key from a profile, if that has it, and the profile if
// nothing else is in it.
func (c Credentials) Remove(name, key string) error {
	if has, err := c.AccessKey(name); key == "" || has != key || err != nil {
		return err
	}
	return c.change(name, func(f ini, from, to int) (ini, error) {
		return f.drop(from, to, ownComment, []string{accessKeyLine, secretLine, regionLine}), nil
	})
}

// Check says whether Save could write the file, before there is something that
// must not be lost. It leaves nothing behind.
func (c Credentials) Check() error {
	_, path, err := c.read()
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(firstThere(filepath.Dir(path)), ".tarn-")
	}
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("looking whether %s can be written: %w", string(c), err)
	}
	return nil
}

// firstThere is a folder or, if it is not there, the one that it would be made in.
func firstThere(dir string) string {
	for {
		_, err := os.Lstat(dir)
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return dir
		}
		dir = up
	}
}

// AccessKey returns the id of a profile's access key; "" if it has none.
func (c Credentials) AccessKey(name string) (string, error) {
	f, from, to, _, err := c.look(name)
	if err != nil {
		return "", fmt.Errorf("reading the AWS credentials: %w", err)
	}
	return f.get(from, to, accessKeyLine), nil
}

// Has reports whether something stands in the file under the name of a profile.
func (c Credentials) Has(name string) (bool, error) {
	_, from, to, _, err := c.look(name)
	if err != nil {
		return false, fmt.Errorf("reading the AWS credentials: %w", err)
	}
	return from < to, nil
}

// Configured reports whether the user's AWS configuration, which is a file beside
// the credentials, says anything of a profile: that a role is to be taken, say.
func Configured(getenv func(string) string, name string) (bool, error) {
	path := getenv("AWS_CONFIG_FILE")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return false, fmt.Errorf("finding the AWS configuration: %w (set HOME)", err)
		}
		path = filepath.Join(home, ".aws", "config")
	}
	if path == os.DevNull {
		return false, nil
	}
	_, from, to, _, err := Credentials(path).look("profile " + name)
	if err != nil {
		return false, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return from < to, nil
}

// look reads the file and finds a section in it.
func (c Credentials) look(name string) (f ini, from, to int, path string, err error) {
	data, path, err := c.read()
	if err != nil {
		return nil, 0, 0, path, err
	}
	f = parseINI(data)
	if from, to, err = f.section(name); err != nil {
		err = fmt.Errorf("%s: %w", string(c), err)
	}
	return f, from, to, path, err
}

// read returns the file and where it really is: a link to it is to stay one.
func (c Credentials) read() (data []byte, path string, err error) {
	path = behindLinks(string(c))
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

// behindLinks follows links to what they name, be it there or not yet. More of
// them than systems follow are a circle, which whoever opens it is told.
func behindLinks(path string) string {
	for range 40 {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}

// change writes the file as edit leaves it.
func (c Credentials) change(name string, edit func(f ini, from, to int) (ini, error)) error {
	f, from, to, path, err := c.look(name)
	if err == nil {
		f, err = edit(f, from, to)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(path, []byte(strings.Join(f, "")), 0o600)
	}
	if err != nil {
		return fmt.Errorf("changing the profile %s: %w", name, err)
	}
	return nil
}
