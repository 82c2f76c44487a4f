package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// oddTree makes a folder with everything that a file system can hold: each kind
// of entry, name, owner, mode, time and attribute that has been lost by some
// backup program.
func oddTree(t *testing.T, dir string) {
	t.Helper()
	b := &builder{t: t, rng: newRandom(1)}
	b.mkdir(dir)
	b.dir = dir
	b.content()
	b.names()
	b.kinds()
	b.sparse()
	b.attributes()
	b.modes()
	b.deep()
	b.times() // last: they are of directories, too
}

// builder makes files below one folder.
type builder struct {
	t   *testing.T
	dir string
	rng *rand.ChaCha8
}

func (b *builder) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) path(name string) string { return b.dir + "/" + name }

func (b *builder) mkdir(path string) {
	b.t.Helper()
	b.check(os.MkdirAll(path, 0o755))
}

// file makes a file with the folders above it.
func (b *builder) file(name string, data []byte) {
	b.t.Helper()
	b.mkdir(filepath.Dir(b.path(name)))
	b.check(os.WriteFile(b.path(name), data, 0o644))
}

// random returns bytes that do not compress.
func (b *builder) random(n int) []byte {
	data := make([]byte, n)
	b.rng.Read(data) // never fails, by its contract
	return data
}

func (b *builder) content() {
	b.file("empty", nil)
	b.mkdir(b.path("empty folder"))
	b.file("photos/2010/a.jpg", b.random(300<<10))
	b.file("photos/2010/copy of a.jpg", b.random(10))
	b.file("photos/2011/b.jpg", b.random(1<<20+1))
	b.file("photos/2011/empty", nil)
	b.file("photos/2012/deeper/still/c", []byte("c"))
	b.file("big/larger than an archive", b.random(9<<20+12345))
	b.file("big/text", bytes.Repeat([]byte("to be or not to be\n"), 200_000))
	for _, size := range []int{1, 511, 512, 513, 4 << 10, 64 << 10, 1<<20 - 1, 1 << 20} {
		b.file("sizes/"+strings.Repeat("x", size%7+1)+"-"+string(rune('a'+size%26)), b.random(size))
	}
	same := b.random(5000)
	b.file("twice/one", same)
	b.file("other/two", same)
}

// oddNames are names that some program has stumbled over.
var oddNames = []string{
	"with\nnewline", "\n", "tab\t", " leading", "trailing ", "-rf", "--delete", "'", "\"", "it's \"quoted\"", `back\slash`, `\n`, `\`, `$'x'`,
	"$(touch pwned)", "`id`", "*", "?", "[a]", "%2F", "~", "#", "!", "&;|<>", "latin1 \xe9", "\xff\xfe", "cut \xc3", "surrogate \xed\xa0\x80",
	"\x01\x1b[2J\x7f", "ünïcödé", "u\u0308 decomposed", "日本語", "\U0001f4f7", "\u202egpj.exe", "\u00a0", "...", "a=b", "a:b", "%!s(MISSING)", ".tarn", "a.b", "a!b",
	strings.Repeat("n", 255), strings.Repeat("é", 127) + "x", strings.Repeat("\xfe", 255), strings.Repeat("\n", 255),
}

func (b *builder) names() {
	for _, n := range oddNames {
		b.file("names/"+n, []byte("content of "+n))
		b.file("name dirs/"+n+"/"+n, []byte(n))
		b.check(os.Symlink(n, b.path("names/")+n[:min(len(n), 250)]+" link"))
	}
	for _, n := range []string{"file then folder", "file then link", "link then folder"} {
		b.file("photos/2012/deeper/"+n, []byte(n))
	}
	b.file("photos/2012/deeper/folder then file/x/y", []byte("x"))
	b.file("photos/2012/deeper/folder then link/x", []byte("x"))
	b.file("a", []byte("a")) // beside a.b and a/b in order
	b.file("a.b/c", []byte("c"))
	b.file("a!b/c", []byte("c"))
}

func (b *builder) kinds() {
	d := b.path("kinds")
	b.mkdir(d)
	b.file("kinds/file", []byte("file"))
	b.check(os.Symlink("nowhere", d+"/dangling"))
	b.check(os.Symlink("/etc/passwd", d+"/absolute"))
	b.check(os.Symlink("../../../../../../etc", d+"/upwards"))
	b.check(os.Symlink("self", d+"/self"))
	b.check(os.Symlink(strings.Repeat("t/", 2000)+"\xff\n", d+"/long target"))
	b.check(os.Symlink(".", b.path("photos/2010/here")))
	b.check(unix.Lchown(d+"/dangling", 12, 34))
	b.check(unix.Mkfifo(d+"/fifo", 0o640))
	b.check(unix.Mknod(d+"/socket", unix.S_IFSOCK|0o755, 0))
	b.check(unix.Mknod(d+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	b.check(unix.Mknod(d+"/block", unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	for link, to := range map[string]string{
		"kinds/link": "kinds/file", "kinds/another": "kinds/file", "photos/2011/linked": "kinds/file", "top link": "kinds/file",
		"photos/2012/big": "big/larger than an archive", "photos/2012/linked empty": "photos/2011/empty", "kinds/linked fifo": "kinds/fifo",
		"kinds/linked null": "kinds/null", "zlink": "kinds/dangling", "names/link": "names/latin1 \xe9",
	} {
		b.check(unix.Linkat(unix.AT_FDCWD, b.path(to), unix.AT_FDCWD, b.path(link), 0))
	}
}

// sparseFiles are files with holes, and which stretches hold data.
var sparseFiles = map[string]struct {
	size int64
	data []int64 // offsets of 4 KiB of it
}{
	"sparse/only a hole":   {8 << 20, nil},
	"sparse/data in it":    {32 << 20, []int64{0, 1 << 20, 20 << 20}},
	"sparse/hole at end":   {4<<20 + 17, []int64{4096}},
	"sparse/hole at start": {2 << 20, []int64{2<<20 - 4096}},
}

func (b *builder) sparse() {
	b.mkdir(b.path("sparse"))
	for name, s := range sparseFiles {
		f, err := os.Create(b.path(name))
		b.check(err)
		b.check(f.Truncate(s.size))
		for _, off := range s.data {
			_, err := f.WriteAt(b.random(4096), off)
			b.check(err)
		}
		b.check(f.Close())
	}
	b.file("sparse/dense zeros", make([]byte, 1<<20))
}

// acl is a POSIX ACL as the kernel takes it in an xattr: tag, permissions, id.
func acl(entries ...[3]uint32) []byte {
	data := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		data = binary.LittleEndian.AppendUint16(data, uint16(e[0]))
		data = binary.LittleEndian.AppendUint16(data, uint16(e[1]))
		data = binary.LittleEndian.AppendUint32(data, e[2])
	}
	return data
}

func (b *builder) attributes() {
	const none = 0xffffffff
	set := func(name, attr string, value []byte) {
		b.t.Helper()
		if err := unix.Lsetxattr(b.path(name), attr, value, 0); err != nil {
			b.t.Fatalf("setting %s of %s: %v", attr, name, err)
		}
	}
	b.file("attributes/user", []byte("x"))
	set("attributes/user", "user.comment", []byte("by the lake"))
	set("attributes/user", "user.empty", nil)
	set("attributes/user", "user.binary", []byte("\x00\xff\n=\""))
	set("attributes/user", "user.with=equals and ünïcode", []byte("x"))
	set("attributes/user", "user.large", b.random(3000))
	set("attributes/user", "trusted.overlay", []byte("y"))
	b.file("attributes/capable", []byte("#!/bin/true"))
	// CAP_NET_RAW, permitted and effective, in revision 2.
	set("attributes/capable", "security.capability", []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	b.check(os.Chown(b.path("attributes"), 7, 8))
	set("attributes", "user.of a folder", []byte("z"))
	rules := acl([3]uint32{1, 7, none}, [3]uint32{2, 6, 1234}, [3]uint32{4, 5, none}, [3]uint32{8, 4, 4321}, [3]uint32{0x10, 7, none}, [3]uint32{0x20, 0, none})
	b.file("attributes/acl", []byte("acl"))
	set("attributes/acl", "system.posix_acl_access", rules)
	b.mkdir(b.path("attributes/acl folder"))
	set("attributes/acl folder", "system.posix_acl_default", rules) // what is made below inherits it
	b.file("attributes/acl folder/inherits", []byte("x"))
	b.check(unix.Mkfifo(b.path("attributes/fifo"), 0o600))
	set("attributes/fifo", "trusted.fifo", []byte("f"))
	b.check(os.Symlink("user", b.path("attributes/link")))
	set("attributes/link", "trusted.link", []byte("l"))
}

func (b *builder) modes() {
	for name, m := range map[string]struct {
		mode     uint32
		uid, gid int
	}{
		"setuid": {0o4755, 0, 0}, "setgid": {0o2755, 0, 50}, "both": {0o6711, 1000, 1000}, "sticky": {0o1644, 0, 0}, "nothing": {0, 0, 0},
		"write only": {0o222, 65534, 65534}, "large ids": {0o600, 4_000_000_000, 3_999_999_999}, "setuid of another": {0o4511, 33, 33},
	} {
		b.file("modes/"+name, []byte(name))
		b.check(os.Chown(b.path("modes/"+name), m.uid, m.gid))
		b.check(unix.Chmod(b.path("modes/"+name), m.mode))
	}
	b.mkdir(b.path("modes/sticky folder"))
	b.check(unix.Chmod(b.path("modes/sticky folder"), 0o1777))
	b.mkdir(b.path("modes/setgid folder/below"))
	b.check(os.Chown(b.path("modes/setgid folder"), 1, 100))
	b.check(unix.Chmod(b.path("modes/setgid folder"), 0o2770))
	b.file("modes/read-only folder/file", []byte("x"))
	b.mkdir(b.path("modes/read-only folder/folder"))
	b.check(unix.Chmod(b.path("modes/read-only folder"), 0o555))
	b.file("modes/closed folder/file", []byte("x"))
	b.check(unix.Chmod(b.path("modes/closed folder"), 0))
}

// deep makes a file whose path, from the top of the tree, has 4,090 bytes and
// cannot be said to the kernel at once from the root.
func (b *builder) deep() {
	const step = 200
	fd, err := unix.Open(b.dir, unix.O_DIRECTORY|unix.O_RDONLY, 0)
	b.check(err)
	length := 0
	for name := "deep"; length+len(name)+1 < 4090-step; name = strings.Repeat("d", step) {
		b.check(unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY|unix.O_RDONLY, 0)
		b.check(err)
		b.check(unix.Close(fd))
		fd, length = next, length+len(name)+1
	}
	name := strings.Repeat("f", min(255, 4090-length))
	file, err := unix.Openat(fd, name, unix.O_CREAT|unix.O_WRONLY, 0o644)
	b.check(err)
	_, err = unix.Write(file, []byte("at the bottom"))
	b.check(err)
	b.check(unix.Close(file))
	b.check(unix.Close(fd))
}

func (b *builder) times() {
	for name, ts := range map[string]unix.Timespec{
		"photos/2010/a.jpg": {Sec: 1350244992, Nsec: 23960108}, "photos/2010": {Sec: 1350244993, Nsec: 1}, "photos": {Sec: 1, Nsec: 999999999},
		"photos/2011/b.jpg": {Sec: -1, Nsec: 500000000}, "empty": {Sec: -2208988800, Nsec: 1}, "empty folder": {Sec: 0, Nsec: 0},
		"kinds/dangling": {Sec: 1e9, Nsec: 7}, "kinds/fifo": {Sec: 5e9, Nsec: 8}, "kinds/null": {Sec: 33e9 / 10, Nsec: 9},
		"modes/read-only folder": {Sec: 8e9, Nsec: 123456789}, "modes/closed folder": {Sec: 3, Nsec: 4}, "sparse/only a hole": {Sec: -86400, Nsec: 250},
	} {
		b.check(unix.UtimesNanoAt(unix.AT_FDCWD, b.path(name), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}
