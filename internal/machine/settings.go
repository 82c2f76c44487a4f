package machine

import (
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
	// NewKeys are the access keys that are being made, by the name of their user:
	// what a run that was killed has left, the next one finds here and mends.
	NewKeys map[string]NewKey `json:"new_keys,omitempty"`
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
	Stack    string `json:"stack,omitempty"` // of CloudFormation, that `tarn cloud` has made it with
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

// ChangeSettings writes the settings as change leaves them.
func (d Dirs) ChangeSettings(change func(*Settings)) error {
	s, err := d.Settings()
	if err != nil {
		return err
	}
	if s.Storages == nil {
		s.Storages = map[string]Access{}
	}
	if s.NewKeys == nil {
		s.NewKeys = map[string]NewKey{}
	}
	change(&s)
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.MkdirAll(d.Config, 0o700)
	}
	if err == nil {
		err = durable.WriteFile(d.SettingsPath(), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}
