package machine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tarn-backup/tarn/internal/durable"
)

// Settings are what tarn uses where no flag says otherwise.
type Settings struct {
	// Repository is the one that is used if none is named; "" for the local one.
	Repository string `json:"repository,omitempty"`
	// Storages say how repositories in S3 are reached, by their location.
	Storages map[string]Access `json:"storages,omitempty"`
	// Profiles are the AWS profiles that tarn has written, by name: nothing else
	// tells later whose the key in one was.
	Profiles map[string]Made `json:"profiles,omitempty"`
	// NewKeys are the access keys that are being made, by the name of their user:
	// what a run that was killed has left, the next one finds here and mends.
	NewKeys map[string]NewKey `json:"new_keys,omitempty"`
}

// StackPlace is which stack it is: the same name may be taken in each region of
// each account.
type StackPlace struct {
	Stack    string `json:"stack"`
	Account  string `json:"account"`
	Region   string `json:"region"`
	Endpoint string `json:"endpoint,omitempty"` // "" for AWS
}

// Made is an AWS profile that tarn has written.
type Made struct {
	StackPlace
	Machine   int    `json:"machine"`    // its number in the stack
	AccessKey string `json:"access_key"` // the id, which is no secret
}

// NewKey is an access key that is being made. Its secret is not here.
type NewKey struct {
	Begun    time.Time `json:"begun"`
	ID       string    `json:"id,omitempty"`       // once AWS has told it
	Replaces string    `json:"replaces,omitempty"` // the id of the key that goes for it
}

// Access is how a bucket is reached.
type Access struct {
	Profile  string `json:"aws_profile,omitempty"`
	Region   string `json:"aws_region,omitempty"`
	Endpoint string `json:"s3_endpoint,omitempty"`
	Stack    string `json:"stack,omitempty"`       // of CloudFormation, that `tarn cloud` has made it with
	Account  string `json:"aws_account,omitempty"` // of the stack
	// Ends, if not empty, says since when the stack is being removed: whether AWS
	// has begun to is not known here yet.
	Ends string `json:"ends,omitempty"`
	// Gone, if not empty, says since when nothing on this machine reaches it any
	// more: its stack was removed, and the machine's key with it.
	Gone string `json:"gone,omitempty"`
}

// SettingsPath is the file of the settings.
func (d Dirs) SettingsPath() string { return filepath.Join(d.Config, "config.json") }

// Settings reads the settings; none are there at first.
func (d Dirs) Settings() (s Settings, err error) {
	data, err := os.ReadFile(d.SettingsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("reading the settings: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("reading the settings in %s: %w", d.SettingsPath(), err)
	}
	return s, nil
}

// ChangeSettings writes the settings as change leaves them. What another version
// of this program has put there stays, and so does a link to the file.
func (d Dirs) ChangeSettings(change func(*Settings)) error {
	return d.Exclusively(func() error { return d.changeSettings(change) })
}

func (d Dirs) changeSettings(change func(*Settings)) error {
	s, err := d.Settings()
	if err != nil {
		return err
	}
	if s.Storages == nil {
		s.Storages = map[string]Access{}
	}
	if s.Profiles == nil {
		s.Profiles = map[string]Made{}
	}
	if s.NewKeys == nil {
		s.NewKeys = map[string]NewKey{}
	}
	path := behindLinks(d.SettingsPath())
	was, known, err := treesOf(path, s)
	if err != nil {
		return err
	}
	change(&s)
	now, err := tree(s)
	var data []byte
	if err == nil {
		data, err = json.MarshalIndent(withUnknown(now, was, known), "", "  ")
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(path, append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}

// treesOf returns a file of settings as it is, and what this program knows of it.
func treesOf(path string, s Settings) (was, known any, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		was, err = decodeTree(data)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		known, err = tree(s)
	}
	if err != nil {
		err = fmt.Errorf("reading the settings in %s: %w", path, err)
	}
	return was, known, err
}

// tree returns a value as any JSON.
func tree(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeTree(data)
}

func decodeTree(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // large numbers are not to be rounded
	err = d.Decode(&v)
	return v, err
}

// withUnknown returns now with all that was there and is not known.
func withUnknown(now, was, known any) any {
	n, isNow := now.(map[string]any)
	w, isWas := was.(map[string]any)
	if !isNow || !isWas {
		return now
	}
	k, _ := known.(map[string]any)
	for name, value := range w {
		_, is := k[name]
		kept, stays := n[name]
		switch {
		case stays:
			n[name] = withUnknown(kept, value, k[name])
		case !is:
			n[name] = value
		}
	}
	return n
}
