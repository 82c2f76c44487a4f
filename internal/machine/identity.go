package machine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/tarn-backup/tarn/internal/durable"
)

// keyComment begins the comment that binds an identity file to a repository's
// key: "# tarn key: <repository> <fingerprint>".
const keyComment = "# tarn key: "

// SaveIdentity adds an identity of a repository to its file, newest first.
func SaveIdentity(path string, id *age.X25519Identity, repository, fingerprint, created string) error {
	old, err := readIdentityFile(path)
	if err != nil {
		return fmt.Errorf("saving the identity: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# tarn identity of the repository %s, created %s.\n# Whoever has this file can read the backup; without it, nobody can.\n", repository, created)
	fmt.Fprintf(&b, "%s%s %s\n# public key: %s\n%s\n", keyComment, repository, fingerprint, id.Recipient(), id)
	b.Write(old)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("saving the identity: %w", err)
	}
	if err := durable.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("saving the identity: %w", err)
	}
	return nil
}

// CheckIdentityFile says whether SaveIdentity can add to the file: it is one of
// age identities, empty, or not there.
func CheckIdentityFile(path string) error {
	_, err := readIdentityFile(path)
	return err
}

// readIdentityFile reads a file that an identity is to be added to. An SSH key
// or a picture would be lost by that.
func readIdentityFile(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is there already, and no file", path)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return data, nil
	}
	if _, _, err := parseIdentities(path, data, Ask{}); err != nil {
		return nil, fmt.Errorf("%s is there already, and no file of age identities", path)
	}
	return data, nil
}

// ErrLocked says that a file of identities has a passphrase, and nobody is there
// to ask for it.
var ErrLocked = errors.New("it has a passphrase, and there is no terminal to ask for it")

// Ask is how an identity file asks the person at the terminal.
type Ask struct {
	// Passphrase asks for the passphrase of what is named; nil refuses.
	Passphrase func(what string) ([]byte, error)
	Plugin     *plugin.ClientUI
}

// LoadIdentities reads a file of identities: age identities one a line, a file
// of them that `age -p` encrypted, or an SSH private key. Fingerprints maps
// repositories to the key that the file's comments name.
func LoadIdentities(path string, ask Ask) (ids []age.Identity, fingerprints map[string]string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the identity: %w", err)
	}
	switch {
	case bytes.HasPrefix(data, []byte("-----BEGIN")) && !bytes.HasPrefix(data, []byte(armor.Header)):
		id, err := sshIdentity(path, data, ask)
		return []age.Identity{id}, nil, err
	case bytes.HasPrefix(data, []byte(armor.Header)), bytes.HasPrefix(data, []byte("age-encryption.org/")):
		if data, err = decryptIdentities(path, data, ask); err != nil {
			return nil, nil, err
		}
	}
	return parseIdentities(path, data, ask)
}

func parseIdentities(path string, data []byte, ask Ask) (ids []age.Identity, fingerprints map[string]string, err error) {
	fingerprints = map[string]string{}
	s := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if rest, ok := strings.CutPrefix(line, keyComment); ok {
			repository, fingerprint, ok := strings.Cut(rest, " ")
			if _, newer := fingerprints[repository]; ok && !newer { // the newest comes first
				fingerprints[repository] = fingerprint
			}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var id age.Identity
		if strings.HasPrefix(line, "AGE-PLUGIN-") {
			id, err = plugin.NewIdentity(line, ask.Plugin)
		} else {
			id, err = age.ParseX25519Identity(line)
		}
		if err != nil { // which may repeat the line, a secret
			return nil, nil, fmt.Errorf("identity file %s, line %d: not an age identity", path, n)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("identity file %s: no identity in it (want AGE-SECRET-KEY-1… or an SSH private key)", path)
	}
	return ids, fingerprints, s.Err()
}

func decryptIdentities(path string, data []byte, ask Ask) ([]byte, error) {
	if ask.Passphrase == nil {
		return nil, fmt.Errorf("identity file %s: %w", path, ErrLocked)
	}
	passphrase, err := ask.Passphrase(path)
	if err != nil {
		return nil, err
	}
	scrypt, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	var src io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, []byte(armor.Header)) {
		src = armor.NewReader(src)
	}
	plain, err := age.Decrypt(src, scrypt)
	if err != nil {
		if errors.As(err, new(*age.NoIdentityMatchError)) {
			return nil, fmt.Errorf("identity file %s: the passphrase is wrong", path)
		}
		return nil, fmt.Errorf("identity file %s: it is damaged, or not encrypted to a passphrase", path)
	}
	return io.ReadAll(io.LimitReader(plain, 1<<20))
}

func sshIdentity(path string, data []byte, ask Ask) (age.Identity, error) {
	id, err := agessh.ParseIdentity(data)
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		if err != nil { // in words for whoever wrote a codec
			return nil, fmt.Errorf("identity file %s: no SSH key that age can use (want ed25519 or RSA)", path)
		}
		return id, nil
	}
	if ask.Passphrase == nil {
		return nil, fmt.Errorf("identity file %s: %w", path, ErrLocked)
	}
	pub := locked.PublicKey
	if pub == nil {
		return nil, fmt.Errorf("identity file %s: an SSH key with a passphrase needs the newer OpenSSH form (ssh-keygen -p -f)", path)
	}
	return agessh.NewEncryptedSSHIdentity(pub, data, func() ([]byte, error) { return ask.Passphrase(path) })
}

// KeyComment returns the fingerprint that the comments of an identity file name
// for a repository, the first of several; "" if none.
func KeyComment(data []byte, repository string) string {
	for line := range strings.Lines(string(data)) {
		if f, ok := strings.CutPrefix(strings.TrimSpace(line), keyComment+repository+" "); ok {
			return f
		}
	}
	return ""
}
