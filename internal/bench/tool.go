package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// tool is a program to measure. Functions that it does not have are nil. home is
// a fresh folder with all that a run leaves behind: its repository, cache and settings.
type tool struct {
	name    string
	needs   []string // programs on the PATH
	missing string   // how a user gets them
	version command
	env     func(home string) []string

	init    func(home string) []command
	backup  func(home, source string) command
	again   func(home, source string) command // as backup, if nil and keeps
	restore func(home, target string) command
	repo    string // folder below home whose bytes are what is stored
	keeps   bool   // whether a second backup is worth measuring

	s3Init   func(home string, s server) []command
	s3Backup func(home, source string, s server) command
}

// sh quotes an argument for a shell.
func sh(arg string) string { return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'" }

// tools returns what is measured: tarn first, whose program is given.
func tools(tarn string) []tool {
	return []tool{tarnTool(tarn), resticTool(), kopiaTool(), borgTool(), tarTool(), rcloneTool(), findTool()}
}

func tarnTool(program string) tool {
	at := func(home string, args ...string) command {
		return command{args: append([]string{program, "-r", filepath.Join(home, "repo")}, args...)}
	}
	onS3 := func(s server, home string, args ...string) command {
		return command{args: append([]string{program, "-r", "s3://" + s.bucket(home), "--s3-endpoint", s.url}, args...), env: s.credentials()}
	}
	return tool{
		name: "tarn", version: command{args: []string{program, "version"}}, repo: "repo", keeps: true,
		env: func(home string) []string {
			return []string{"HOME=" + home, "XDG_CACHE_HOME=" + home + "/cache", "XDG_CONFIG_HOME=" + home + "/config"}
		},
		init:    func(home string) []command { return []command{at(home, "init")} },
		backup:  func(home, source string) command { return at(home, "backup", source) },
		restore: func(home, target string) command { return at(home, "restore", "latest", "--target", target) },
		s3Init:  func(home string, s server) []command { return []command{onS3(s, home, "init")} },
		s3Backup: func(home, source string, s server) command {
			return onS3(s, home, "backup", source)
		},
	}
}

func resticTool() tool {
	plain := func(args ...string) command { return command{args: append([]string{"restic"}, args...)} }
	onS3 := func(s server, home string, args ...string) command {
		return command{args: append([]string{"restic", "-r", "s3:" + s.url + "/" + s.bucket(home)}, args...), env: s.credentials()}
	}
	return tool{
		name: "restic", needs: []string{"restic"}, repo: "repo", keeps: true,
		missing: "build it from the source of a release from 0.18 on (go build ./cmd/restic); Debian's 0.14 does not compress as it does today and does not count",
		version: plain("version"),
		env: func(home string) []string {
			return []string{"RESTIC_REPOSITORY=" + home + "/repo", "RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR=" + home + "/cache"}
		},
		init:     func(string) []command { return []command{plain("init")} },
		backup:   func(_, source string) command { return plain("backup", source) },
		restore:  func(_, target string) command { return plain("restore", "latest", "--target", target) },
		s3Init:   func(home string, s server) []command { return []command{onS3(s, home, "init")} },
		s3Backup: func(home, source string, s server) command { return onS3(s, home, "backup", source) },
	}
}

func kopiaTool() tool {
	plain := func(args ...string) command { return command{args: append([]string{"kopia"}, args...)} }
	return tool{
		name: "kopia", needs: []string{"kopia"}, repo: "repo", keeps: true,
		missing: "build it from source (go build -tags nohtmlui .)",
		version: plain("--version"),
		env: func(home string) []string {
			return []string{"KOPIA_PASSWORD=bench", "KOPIA_CONFIG_PATH=" + home + "/kopia.config", "KOPIA_CACHE_DIRECTORY=" + home + "/cache",
				"KOPIA_LOG_DIR=" + home + "/log", "KOPIA_CHECK_FOR_UPDATES=false"}
		},
		init: func(home string) []command {
			return []command{plain("repository", "create", "filesystem", "--path", home+"/repo")}
		},
		backup: func(_, source string) command { return plain("snapshot", "create", source) },
		restore: func(_, target string) command {
			c := shell(`kopia restore "$(kopia snapshot list --all --json | sed -n 's/.*"rootEntry".*"obj":"\([^"]*\)".*/\1/p' | head -n 1)" ` + sh(target))
			return c
		},
		s3Init: func(home string, s server) []command {
			c := plain("repository", "create", "s3", "--bucket", s.bucketName(home), "--endpoint", strings.TrimPrefix(s.url, "http://"), "--disable-tls")
			c.env = s.credentials()
			return []command{c}
		},
		s3Backup: func(_, source string, s server) command {
			c := plain("snapshot", "create", source)
			c.env = s.credentials()
			return c
		},
	}
}

func borgTool() tool {
	plain := func(args ...string) command { return command{args: append([]string{"borg"}, args...)} }
	return tool{
		name: "borg", needs: []string{"borg"}, repo: "repo", keeps: true,
		missing: "apt-get install borgbackup",
		version: plain("--version"),
		env: func(home string) []string {
			return []string{"BORG_REPO=" + home + "/repo", "BORG_PASSPHRASE=bench", "BORG_BASE_DIR=" + home, "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes"}
		},
		init: func(string) []command { return []command{plain("init", "-e", "repokey")} },
		backup: func(_, source string) command {
			return plain("create", "-C", "zstd,3", "::{now:%Y%m%dT%H%M%S.%f}", source)
		},
		restore: func(_, target string) command {
			c := shell(`borg extract "::$(borg list --short | tail -n 1)"`)
			c.dir = target
			return c
		},
	}
}

// tarTool is the least that any backup must do, without hash, index and encryption.
func tarTool() tool {
	pack := func(source string) string {
		return fmt.Sprintf("tar -C %s -cf - %s | zstd -q -T2", sh(filepath.Dir(source)), sh(filepath.Base(source)))
	}
	return tool{
		name: "tar | zstd -T2", needs: []string{"tar", "zstd"}, repo: "repo",
		missing: "apt-get install tar zstd",
		version: shell(`tar --version | head -n 1; zstd --version | grep -o 'v[0-9.]*'`),
		init:    func(home string) []command { return []command{{args: []string{"mkdir", home + "/repo"}}} },
		backup: func(home, source string) command {
			return shell(pack(source) + " > " + sh(home+"/repo/all.tar.zst"))
		},
		restore: func(home, target string) command {
			return shell("zstd -q -dc " + sh(home+"/repo/all.tar.zst") + " | tar -C " + sh(target) + " -xf -")
		},
		s3Init: func(home string, s server) []command { return nil },
		s3Backup: func(home, source string, s server) command {
			c := shell(pack(source) + " | rclone rcat " + sh(":s3:"+s.bucket(home)+"/all.tar.zst"))
			c.env = s.rclone()
			return c
		},
	}
}

func rcloneTool() tool {
	return tool{
		name: "rclone copy", needs: []string{"rclone"},
		missing: "go install github.com/rclone/rclone@latest",
		version: shell("rclone version | head -n 1"),
		s3Init:  func(home string, s server) []command { return nil },
		s3Backup: func(home, source string, s server) command {
			return command{args: []string{"rclone", "copy", source, ":s3:" + s.bucket(home)}, env: s.rclone()}
		},
	}
}

// findTool is the least that a look at an unchanged folder can take.
func findTool() tool {
	return tool{
		name: "find", needs: []string{"find"}, missing: "apt-get install findutils",
		version: shell("find --version | head -n 1"),
		again: func(_, source string) command {
			return shell("find " + sh(source) + ` -printf '%s %T@\n' > /dev/null`)
		},
	}
}

// present says whether the programs that the tool needs are on the PATH.
func (t tool) present() bool {
	for _, p := range t.needs {
		if _, err := exec.LookPath(p); err != nil {
			return false
		}
	}
	return true
}

// fetched returns the bytes and the requests that tarn's restore says it needed.
func fetched(summary string) (bytes, requests int64, err error) {
	var s struct {
		Bytes    int64 `json:"fetched_bytes"`
		Requests int64 `json:"requests"`
	}
	lines := strings.Split(strings.TrimSpace(summary), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		return 0, 0, fmt.Errorf("reading the summary of a restore: %w", err)
	}
	return s.Bytes, s.Requests, nil
}
