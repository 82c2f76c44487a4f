package repo

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// These repositories are not encrypted, so that whoever writes to the storage
// gives each object the sum that it should have: nothing but the reader's own
// care stands between him and the memory and the files of this machine.

// plantTree stores lines as the tree that they name.
func plantTree(t *testing.T, s *storagetest.Memory, r *Repo, lines []byte) Split {
	t.Helper()
	sp := Split{Path: "s", Tree: sha256.Sum256(lines), Size: int64(len(lines))}
	s.Plant(r.treeKey(sp.Tree), packed(t, lines))
	return sp
}

func TestHostileTrees(t *testing.T) {
	dir := func(path string) string {
		return string(AppendEntry(nil, &tarn.Entry{Path: path, Type: tarn.TypeDir, Mode: 0o755}))
	}
	raw := func(path string) string {
		return `{"path":"s","path_raw":` + string(appendString(nil, path)) + `,"type":"dir","mode":"0755"}` + "\n"
	}
	good := dir("s") + dir("s/a")
	tests := map[string]string{
		"dot dot": good + dir("s/../../etc"), "dot dot at the end": good + dir("s/a/.."), "absolute": good + dir("/etc/passwd"), "dot": good + dir("s/./a"),
		"empty component": good + dir("s//a"), "no path": good + dir(""), "slash at the end": good + dir("s/b/"), "zero byte": good + dir("s/b\x00c"),
		"raw dot dot": good + raw(`s/\056\056/x`), "raw slash": good + raw(`s\057\057etc`), "raw cut": good + raw(`s/\05`), "raw not octal": good + raw(`s/\998`),
		"out of order": good + dir("s/c") + dir("s/b"), "twice": good + dir("s/a"), "parent after child": dir("s/a/b") + dir("s/a"),
		"another split": good + dir("t/a"), "name that begins like the split": good + dir("sx"), "long path": good + dir("s/"+strings.Repeat("x/", maxPath/2)+"x"),
		"no newline at the end": strings.TrimSuffix(good, "\n"), "empty line": good + "\n" + dir("s/b"), "not JSON": good + "}\n", "not an object": good + "[]\n",
		"unknown type":        good + `{"path":"s/b","type":"door","mode":"0755"}` + "\n",
		"mode":                good + `{"path":"s/b","type":"dir","mode":"17777"}` + "\n",
		"directory of bytes":  good + `{"path":"s/b","type":"dir","mode":"0755","size":1}` + "\n",
		"negative size":       good + `{"path":"s/b","type":"file","mode":"0755","size":-1}` + "\n",
		"huge number":         good + `{"path":"s/b","type":"file","mode":"0755","size":99999999999999999999}` + "\n",
		"size, no content":    good + `{"path":"s/b","type":"file","mode":"0755","size":1}` + "\n",
		"extents, other size": good + `{"path":"s/b","type":"file","mode":"0755","size":9,"content":"` + strings.Repeat("ab", 32) + `","extents":[["` + strings.Repeat("ab", 32) + `",0,8]]}` + "\n",
		"extents overflow": good + `{"path":"s/b","type":"file","mode":"0755","size":9,"content":"` + strings.Repeat("ab", 32) + `","extents":[["` + strings.Repeat("ab", 32) +
			`",0,9223372036854775807],["` + strings.Repeat("ab", 32) + `",0,9223372036854775807]]}` + "\n",
		"link to nothing": good + `{"path":"s/b","type":"symlink","mode":"0777"}` + "\n",
	}
	for name, lines := range tests {
		t.Run(name, func(t *testing.T) {
			s, r, _ := newRepository(t, false)
			sp := plantTree(t, s, r, []byte(lines))
			got, err := readTree(t.Context(), r, sp)
			if !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), sp.Tree.String()) {
				t.Errorf("%d entries, %v", len(got), err)
			}
			for _, e := range got {
				if !tarn.ValidPath(e.Path) || !tarn.Within(e.Path, "s") {
					t.Errorf("gave the entry %q", e.Path)
				}
			}
		})
	}
}

func TestDamagedTrees(t *testing.T) {
	s, r, _ := newRepository(t, false)
	entries := []tarn.Entry{{Path: "s", Type: tarn.TypeDir, Mode: 0o755}, {Path: "s/a", Type: tarn.TypeDir, Mode: 0o755}}
	sp := writeTree(t, r, "s", entries)
	whole := r.cache.(*memoryCache).files[treeName(sp.Tree)]
	objects := map[string][]byte{"empty": {}, "not zstd": []byte("x"), "zeros": make([]byte, 100), "more": append(bytes.Clone(whole), packed(t, []byte("{}\n"))...), "garbage after": append(bytes.Clone(whole), 1, 2, 3)}
	for i := range whole {
		objects[fmt.Sprintf("cut at %d", i)] = whole[:i]
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		objects[fmt.Sprintf("flipped at %d", i)] = flipped
	}
	for name, data := range objects {
		s.Plant(r.treeKey(sp.Tree), data)
		got, err := readTree(t.Context(), r.Fresh(&memoryCache{}), sp)
		if err == nil && len(got) == len(entries) {
			continue // a bit that says nothing, of the frame's header
		}
		if !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), sp.Tree.String()) {
			t.Errorf("%s: %d entries, %v", name, len(got), err)
		}
	}
}

// bomb compresses n bytes that repeat, which takes a few kilobytes.
func bomb(t *testing.T, head string, fill byte, n int64) []byte {
	t.Helper()
	var buf bytes.Buffer
	z, err := zstd.NewWriter(&buf, zstd.WithWindowSize(1<<20), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte{fill}, 1<<20)
	if _, err := io.WriteString(z, head); err != nil {
		t.Fatal(err)
	}
	for ; n > 0; n -= int64(len(chunk)) {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// repeated is a bomb of so many gigabytes made by concatenating one frame,
// since a zstd stream is any number of frames.
func repeated(t *testing.T, head string, fill byte, gigabytes int) []byte {
	one := bomb(t, "", fill, 64<<20)
	return append(packed(t, []byte(head)), bytes.Repeat(one, 16*gigabytes)...)
}

// bounded runs f and fails if it allocated more than limit bytes in total,
// which bounds what it held at any time.
func bounded(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("allocated %d MB, limit %d", n>>20, limit>>20)
	}
}

// TestBombs: objects of kilobytes that decode to gigabytes.
func TestBombs(t *testing.T) {
	s, r, _ := newRepository(t, false)
	line := repeated(t, `{"path":"s/`, 'x', 10)
	if len(line) > 4<<20 {
		t.Fatalf("the bomb has %d bytes", len(line))
	}
	id := tarn.ArchiveID("20261123T024639Z-00f1a2b3c4d5e6f7")
	sp := Split{Path: "s", Tree: tarn.TreeID{1}, Size: 1000}
	check := func(what, name string, err error) {
		t.Helper()
		if !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Plant(r.treeKey(sp.Tree), line)
	s.Plant(r.indexKey(id), line)
	bounded(t, 100<<20, func() {
		_, err := readTree(t.Context(), r, sp)
		check("tree beyond its size", sp.Tree.String(), err)
		_, err = r.Index(t.Context(), id, nil)
		check("index with a line of 10 GB", string(id), err)
	})
	// What is in the cache is not trusted to be small, either.
	for _, name := range []string{treeName(sp.Tree), indexName(id)} {
		if err := r.cacheBytes(name, line); err != nil {
			t.Fatal(err)
		}
	}
	sp.Size = 10 << 30
	bounded(t, 150<<20, func() {
		f, err := r.cache.Open(treeName(sp.Tree))
		if err != nil {
			t.Fatal(err)
		}
		err = eachEntry(t.Context(), f, sp, r.key.newTreeHash(), func(*tarn.Entry) bool { return true })
		if !errors.Is(err, tarn.ErrDamaged) {
			t.Errorf("tree with a line of 10 GB: %v", err)
		}
		f, err = r.cache.Open(indexName(id))
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseIndex(f, nil)
		if !errors.Is(err, tarn.ErrDamaged) {
			t.Errorf("index with a line of 10 GB: %v", err)
		}
	})
}

// TestIndexBomb: an index that is right by its MAC, but has a frame table that
// no archive has.
func TestIndexBomb(t *testing.T) {
	s, r, _ := newRepository(t, false)
	id := tarn.ArchiveID("20261123T024639Z-00f1a2b3c4d5e6f7")
	head := fmt.Sprintf(`{"type":"archive","format":1,"archive":%q,"key":%q,"split":"s","created":"2026-11-23T02:46:39Z"}`+"\n", id, r.ArchiveKey("s", id))
	var table strings.Builder
	table.WriteString(`{"type":"frames","frames":[[1,1]`)
	for range maxFrames / 10 {
		table.WriteString(",[1,1]")
	}
	table.WriteString("]}\n")
	body := head + strings.Repeat(table.String(), 11)
	mac := r.key.newMAC(labelIndex)
	mac.Write([]byte(body))
	s.Plant(r.indexKey(id), packed(t, fmt.Appendf([]byte(body), "{\"type\":\"mac\",\"mac\":\"%x\"}\n", mac.Sum(nil))))
	_, err := r.Index(t.Context(), id, nil)
	if !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), string(id)) {
		t.Errorf("%v", err)
	}
}

func TestHostileIndexes(t *testing.T) {
	s, r, _ := newRepository(t, false)
	id := tarn.ArchiveID("20261123T024639Z-00f1a2b3c4d5e6f7")
	head := fmt.Sprintf(`{"type":"archive","format":1,"archive":%q,"key":%q,"split":"s","created":"2026-11-23T02:46:39Z"}`+"\n", id, r.ArchiveKey("s", id))
	hash := strings.Repeat("ab", 32)
	content := func(offset, size, path string) string {
		return `{"type":"content","content":"` + hash + `","offset":` + offset + `,"size":` + size + `,"path":"` + path + `"}` + "\n"
	}
	frames := `{"type":"frames","frames":[[100,1024]]}` + "\n"
	end := func(contents string) string {
		return `{"type":"end","size":1024,"stored":100,"crc64nvme":"00000000000000ff","contents":` + contents + `,"frames":1}` + "\n"
	}
	plant := func(body string) error {
		mac := r.key.newMAC(labelIndex)
		mac.Write([]byte(body))
		s.Plant(r.indexKey(id), packed(t, fmt.Appendf([]byte(body), "{\"type\":\"mac\",\"mac\":\"%x\"}\n", mac.Sum(nil))))
		_, err := r.Fresh(&memoryCache{}).Index(t.Context(), id, func(c Content) error {
			if !tarn.ValidPath(c.Path) || c.Offset < 0 || c.Size <= 0 {
				t.Errorf("gave %+v", c)
			}
			return nil
		})
		return err
	}
	if err := plant(head + content("512", "512", "s/a") + frames + end("1")); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"empty": "", "no head": content("0", "1", "s/a") + frames + end("1"), "two heads": head + head + frames + end("0"), "no end": head + frames,
		"beyond the archive": head + content("512", "513", "s/a") + frames + end("1"), "negative": head + content("-1", "5", "s/a") + frames + end("1"),
		"overflow": head + content("512", "9223372036854775807", "s/a") + frames + end("1"), "no bytes": head + content("0", "0", "s/a") + frames + end("1"),
		"overlap": head + content("0", "10", "s/a") + content("5", "10", "s/b") + frames + end("2"), "dot dot": head + content("0", "1", "s/../../x") + frames + end("1"),
		"absolute": head + content("0", "1", "/x") + frames + end("1"), "fewer contents": head + frames + end("1"), "lines after the end": head + frames + end("0") + frames,
		"frames": head + strings.Replace(frames, "[100,1024]", "[100,1024],[4294967296,1]", 1) + end("0"), "frame parts": head + strings.Replace(frames, "[100,1024]", `"x"`, 1) + end("0"),
		"no frames": head + end("0"), "another archive": strings.ReplaceAll(head, "00f1a2", "11f1a2") + frames + end("0"),
		"another key": strings.Replace(head, "archives/s/", "archives/t/", 1) + frames + end("0"), "raw": strings.Replace(head, `"split":"s"`, `"split":"s","split_raw":"\\9"`, 1) + frames + end("0"),
		"not JSON": head + "x\n" + end("0"), "array": head + "[]\n" + frames + end("0"),
	} {
		if err := plant(body); !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := plant(strings.Replace(head, `"format":1`, `"format":2`, 1) + frames + end("0")); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("format 2: %v", err)
	}
}

func TestHostileSnapshots(t *testing.T) {
	s, r, _ := newRepository(t, false)
	id := tarn.SnapshotID("20261123T024639Z-00f1a2b3c4d5e6f7")
	snapshot := func(splits string) []byte {
		body := fmt.Sprintf(`{"format":1,"id":%q,"repository":%q,"sources":[],"splits":[%s]`, id, r.Config.ID, splits)
		mac := r.key.newMAC(labelSnapshot)
		mac.Write([]byte(body))
		return fmt.Appendf([]byte(body), `,"mac":"%x"}`+"\n", mac.Sum(nil))
	}
	split := func(path string) string {
		return fmt.Sprintf(`{"path":%q,"tree":"%s","size":1}`, path, tarn.TreeID{1})
	}
	s.Plant(r.snapshotKey(id), snapshot(split("a")+","+split("a/b")+","+split("a.b")))
	if _, err := r.Fresh(&memoryCache{}).Snapshot(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	whole := snapshot(split("a"))
	for name, data := range map[string][]byte{
		"empty": {}, "null": []byte("null"), "no MAC": []byte("{}\n"), "MAC only": whole[len(whole)-sealLen:], "cut": whole[:len(whole)-1], "more": append(bytes.Clone(whole), '\n'),
		"dot dot": snapshot(split("../x")), "absolute": snapshot(split("/x")), "empty path": snapshot(split("")), "out of order": snapshot(split("b") + "," + split("a")),
		"twice": snapshot(split("a") + "," + split("a")), "negative size": snapshot(strings.Replace(split("a"), `"size":1`, `"size":-1`, 1)),
		"tree id": snapshot(strings.Replace(split("a"), "01", "zz", 1)), "number": snapshot("1"), "deep": snapshot(strings.Repeat("[", 20000)),
		"another id": bytes.Replace(whole, []byte("00f1"), []byte("00f2"), 1), "raw": snapshot(strings.Replace(split("a"), `"tree"`, `"path_raw":"\\1","tree"`, 1)),
	} {
		s.Plant(r.snapshotKey(id), data)
		_, err := r.Fresh(&memoryCache{}).Snapshot(t.Context(), id)
		if !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHugeObjects: objects beyond their limits are refused before they are in
// memory whole.
func TestHugeObjects(t *testing.T) {
	s, r, _ := newRepository(t, true)
	known := r.Known()
	id := tarn.SnapshotID("20261123T024639Z-00f1a2b3c4d5e6f7")
	s.Plant(r.snapshotKey(id), make([]byte, 4*maxSnapshot))
	bounded(t, 20<<20, func() { // which age refuses by its first line
		if _, err := r.Snapshot(t.Context(), id); !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("snapshot: %v", err)
		}
	})
	var sealed bytes.Buffer
	src := io.LimitReader(zeros{}, maxSnapshot+100)
	if err := r.put(t.Context(), "sealed", src, 0); err != nil {
		t.Fatal(err)
	}
	sealed.Write(s.Bytes("sealed"))
	s.Drop("sealed")
	s.Plant(r.snapshotKey(id), sealed.Bytes())
	bounded(t, 8*maxSnapshot, func() { // all buffers that were outgrown together
		if _, err := r.Snapshot(t.Context(), id); !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("sealed snapshot: %v", err)
		}
	})
	for i := range 3 {
		s.Plant(keysKey(tarn.KeysID(fmt.Sprintf("20991123T024639Z-00000000000000%02d", i))), make([]byte, 4*maxKeys))
	}
	bounded(t, 300<<20, func() {
		if _, err := Open(t.Context(), s, Options{Known: &known}); err != nil {
			t.Errorf("huge keys objects: %v", err)
		}
	})
	s.Plant(configName, make([]byte, 100*maxConfig))
	bounded(t, 300<<20, func() { // with the keys objects, which might have a copy
		if _, err := Open(t.Context(), s, Options{}); !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), configName) {
			t.Errorf("tarn.json: %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
