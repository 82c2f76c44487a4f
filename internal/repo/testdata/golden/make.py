#!/usr/bin/env python3
"""Makes the golden files of format 1 by other means than tarn's: Python, GNU
tar, zstd and age, from docs/format.md alone. Tests read what it made; they do not run it.

    python3 make.py        (in this folder; needs age 1.1, zstd 1.5, GNU tar)

What age writes is random, so a second run gives other bytes in age/.
"""
import base64, hashlib, hmac, io, json, os, shutil, struct, subprocess, tarfile, tempfile

ID = "000102030405060708090a0b0c0d0e0f"
KEY = bytes(range(32))
RUN = "20261124T024640Z"
ARCHIVE = RUN + "-0102030405060708"
SNAPSHOT = RUN + "-1112131415161718"
KEYS = "20261124T024639Z-2122232425262728"


def run(*argv, stdin=b"", **kw):
    return subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, check=True, **kw).stdout


def put(name, data):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "wb") as f:
        f.write(data)


# --- strings ---

def text(b):
    """A JSON string of bytes, U+FFFD for each byte of no valid sequence."""
    out, i = "", 0
    while i < len(b):
        for n in (1, 2, 3, 4):
            try:
                out += b[i:i + n].decode("utf-8")
                i += n
                break
            except UnicodeDecodeError:
                pass
        else:
            out += "\ufffd"
            i += 1
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(short.get(c) or ("\\u%04x" % ord(c) if ord(c) < 32 else c) for c in out) + '"'


def raw(b):
    keep = lambda c: 0x21 <= c <= 0x7e and c not in b"'\"\\"
    return "".join(chr(c) if keep(c) else "\\%03o" % c for c in b)


def named(member, b):
    s = '"%s":%s' % (member, text(b))
    try:
        b.decode("utf-8")
    except UnicodeDecodeError:
        s += ',"%s_raw":%s' % (member, json.dumps(raw(b)))
    return s


# --- trees ---

def line(path, type, mode, uid=0, gid=0, user="", group="", mtime="", ctime="", size=0, content="",
         extents=None, target=None, inode=0, device=None, xattrs=None, sparse=False):
    m = [named("path", path), '"type":"%s"' % type, '"mode":"%04o"' % mode]
    for k, v in (("uid", uid), ("gid", gid)):
        if v:
            m.append('"%s":%d' % (k, v))
    for k, v in (("user", user), ("group", group), ("mtime", mtime), ("ctime", ctime)):
        if v:
            m.append('"%s":%s' % (k, text(v.encode())))
    if size:
        m.append('"size":%d' % size)
    if content:
        m.append('"content":"%s"' % content)
    if extents:
        m.append('"extents":[%s]' % ",".join('["%s",%d,%d]' % x for x in extents))
    if target is not None:
        m.append(named("target", target))
    if inode:
        m.append('"inode":%d' % inode)
    if device:
        m.append('"device":[%d,%d]' % device)
    if xattrs:
        m.append('"xattrs":{%s}' % ",".join("%s:\"%s\"" % (text(k.encode()), base64.b64encode(v).decode()) for k, v in sorted(xattrs.items())))
    if sparse:
        m.append('"sparse":true')
    return ("{" + ",".join(m) + "}\n").encode()


def entries():
    h = lambda b: ("%02x" % b) * 32
    every = bytes(c for c in range(1, 128) if c != ord("/"))
    file = lambda p: line(p, "file", 0o644, size=6, content=h(0xab))
    return b"".join([
        line(b"s", "dir", 0o1777),
        line(b"s/before 1970", "dir", 0, mtime="-1.500000000", ctime="-0.999999999"),
        line(b"s/block", "block", 0o660, device=(8, 1)),
        line(b"s/char", "char", 0o666, device=(0, 0)),
        line(b"s/empty", "file", 0o600),
        line(b"s/fifo", "fifo", 0o600, mtime="1"),
        line(b"s/full", "file", 0o6755, 1000, 2**32 - 1, "ann", 'Büro "3"', "1350244992.023960108", "1350244993", 2**40, h(1),
             [(h(2), 0, 2**40 - 5), (h(3), 7, 5)], inode=2**64 - 1,
             xattrs={"system.posix_acl_access": b"\2\0\0\0", "user.empty": b"", "user.ü\n": b"value"}, sparse=True),
        line(b"s/link", "symlink", 0o777, target="/näher/../x\\y".encode()),
        line(b"s/link raw", "symlink", 0o777, target=b"../\xe9'\" \\\n"),
        line(b"s/socket", "socket", 0o755),
        file(b"t/" + every),
        file(b"t/\xff\xc3(\xed\xa0\x80" + "é日".encode()),
        file(b"t/" + "\u2028\u0085\ufffd🏔<&>".encode()),
    ])


# --- names ---

def escape(split):
    plain = b" !#$&'()+,-.;=@[]^_`{}~"
    def component(c):
        units, i = [], 0
        while i < len(c):
            for n in (1, 2, 3, 4):
                try:
                    u = c[i:i + n].decode("utf-8")
                    break
                except UnicodeDecodeError:
                    u = None
            if u is None:
                n, stays = 1, False
            else:
                stays = ord(u) >= 0xa0 or (ord(u) < 128 and (u.isalnum() or u.encode() in [bytes([p]) for p in plain]))
            if i + n == len(c) and c[i:] in (b".", b" "):
                stays = False
            units.append(c[i:i + n] if stays else b"".join(b"%%%02X" % x for x in c[i:i + n]))
            i += n
        whole = b"".join(units)
        if len(whole) <= 200:
            return whole
        # "never inside an escape or a UTF-8 sequence"; the escapes of one sequence stay together.
        cut = b""
        for u in units:
            if len(cut) + len(u) > 183:
                break
            cut += u
        return cut + b"~" + hashlib.sha256(c).hexdigest()[:16].encode()
    key = b"/".join(component(c) for c in split.split(b"/"))
    if len(key) > 700:
        return b"~" + hashlib.sha256(split).hexdigest().encode()
    return key


SPLITS = [
    b"Pictures", b"Pictures/2010", "Bücher/日本/🏔".encode(), b"a/b c/-rf/--", b"dot./space /...x/.hidden", b"../..."[3:], b"a/\xff\xc3(/\xed\xa0\x80",
    b"new\nline\ttab\x01\x7f", "c1 \u0085\u009f nbsp\u00a0".encode(), b"100%/a+b&c=d;e,f", b"quote'\"`\\", b"a:b*c?d<e>f|g", b"~tilde/{x}/[y]/^z",
    b"n" * 200, b"n" * 201, "é".encode() * 127, b"x" * 182 + "é".encode() + b"y" * 50, b"x" * 181 + b"\n" + b"y" * 50, b"\n" * 100,
    b"/".join([b"d" * 99] * 7), b"/".join([b"d" * 99] * 8), b"x" * 199 + b".", b"x" * 197 + b".",
]


# --- sealing ---

def mac(key, label, body):
    label = b"tarn 1 " + label + b"\n"
    if key is None:
        return hashlib.sha256(label + body).hexdigest()
    return hmac.new(key, label + body, hashlib.sha256).hexdigest()


def seal(key, label, value):
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    return body + b',"mac":"' + mac(key, label, body).encode() + b'"}\n'


def keys(key, config, **more):
    """A keys object: sealed JSON with a sum of all that is before it."""
    value = {"format": 1, "id": KEYS, "created": "2026-11-24T02:46:39Z", "repository": ID, "config": config.decode(), **more}
    sealed = seal(key, b"keys", value)[:-2]
    return sealed + b',"sum":"' + SHA(sealed).encode() + b'"}\n'


def tree_id(key, lines):
    return hashlib.sha256(lines).hexdigest() if key is None else mac(key, b"tree", lines)


def fingerprint(key):
    return hashlib.sha256(b"tarn 1 key\n" + key).hexdigest()


def macs():
    v = {"a": "<é&>"}
    s = lambda *a: seal(*a).decode()
    return json.dumps({
        "fingerprint": fingerprint(KEY), "tree": tree_id(KEY, b"lines\n"), "tree plain": tree_id(None, b"lines\n"),
        "keys": s(KEY, b"keys", v), "snapshot": s(KEY, b"snapshot", v), "snapshot plain": s(None, b"snapshot", v),
    }, indent=1).encode() + b"\n"


# --- indexes ---

def index(key, archive, object_key, split, created, contents, frames, size, stored, crc, header):
    rows = ['{"type":"archive","format":1,"archive":"%s","key":%s,%s,"created":"%s"}' % (archive, text(object_key), named("split", split), created)]
    for h, offset, n, path in contents:
        rows.append('{"type":"content","content":"%s","offset":%d,"size":%d,%s}' % (h, offset, n, named("path", path)))
    for i in range(0, len(frames), 1000):
        rows.append('{"type":"frames","frames":[%s]}' % ",".join("[%d,%d]" % f for f in frames[i:i + 1000]))
    rows.append('{"type":"end","size":%d,"stored":%d,"crc64nvme":"%016x","contents":%d,"frames":%d%s}' % (
        size, stored, crc, len(contents), len(frames), ',"header":"%s"' % base64.b64encode(header).decode() if header else ""))
    body = ("\n".join(rows) + "\n").encode()
    return body + ('{"type":"mac","mac":"%s"}\n' % mac(key, b"index", body)).encode()


def golden_index(encrypted):
    split = b"s/caf\xe9: 1."
    key = b"archives/" + (ARCHIVE.encode() + b".tar.zst.age" if encrypted else escape(split) + b"/" + ARCHIVE.encode() + b".tar.zst")
    frames = [(i + 1, 4 << 20) for i in range(1001)] + [(9, 4 << 20)] * 1025
    return index(KEY if encrypted else None, ARCHIVE, key, split, "2026-11-24T02:46:40Z",
                 [("01" * 32, 512, 6, b"s/a\nb"), ("02" * 32, 2048, 1 << 32, b"s/\xff")],
                 frames, (4 << 20) * 1001 + (4 << 30) + (4 << 20), 12345, 0xab, b"header and nonce" if encrypted else b"")


# --- archives ---

def crc64nvme(data):
    crc = 0xffffffffffffffff
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9a6c9329ac4bc9b5 if crc & 1 else 0)
    return crc ^ 0xffffffffffffffff


def zst(data):
    return run("zstd", "-q", "-c", "-3", "--check", stdin=data)


def archive(root, members):
    """A tar by GNU tar, in zstd frames of 6,000 bytes, with a seek table."""
    stream = run("tar", "-C", root, "--format=pax", "--no-recursion", "--null", "--verbatim-files-from", "-T", "-", "-b1", "-c", "-f", "-",
                 "--owner=ann:1000", "--group=users:100", "--mtime=@1350244992.5", "--pax-option=delete=atime,delete=ctime",
                 stdin=b"\0".join(members) + b"\0")
    where = {m.name.encode("utf-8", "surrogateescape"): m.offset_data for m in tarfile.open(fileobj=io.BytesIO(stream))}
    out, frames = b"", []
    for i in range(0, len(stream), 6000):
        f = run("zstd", "-q", "-c", "-3", "--check", "--stream-size=%d" % len(stream[i:i + 6000]), stdin=stream[i:i + 6000])
        frames.append((len(f), len(stream[i:i + 6000])))
        out += f
    table = b"".join(struct.pack("<II", *f) for f in frames) + struct.pack("<IBI", len(frames), 0, 0x8F92EAB1)
    return stream, where, frames, out + struct.pack("<II", 0x184D2A5E, len(table)) + table


# --- a whole repository ---

A, B, C = b"hello, lake\n", bytes(range(256)) * 40, b"caf\xc3\xa9\n"
JOINED = B[100:4100] + A[:5] + B[:1]
SHA = lambda b: hashlib.sha256(b).hexdigest()


def trees():
    d = lambda p: line(p, "dir", 0o755, 1000, 100, "ann", "users", "1350244992.500000000", "1350244993.250000000")
    f = lambda p, c, **kw: line(p, "file", 0o644, 1000, 100, "ann", "users", "1350244992.500000000", "1350244993.250000000", len(c), SHA(c) if c else "", **kw)
    root = [d(b"Pictures"), f(b"Pictures/a.txt", A), f(b"Pictures/z.txt", A)]  # around Pictures/2010
    deep = [d(b"Pictures/2010"), f(b"Pictures/2010/b.bin", B, inode=77), f(b"Pictures/2010/caf\xe9", C), f(b"Pictures/2010/empty", b""),
            f(b"Pictures/2010/hard", B, inode=77), f(b"Pictures/2010/joined", JOINED, extents=[(SHA(B), 100, 4000), (SHA(A), 0, 5), (SHA(B), 0, 1)]),
            line(b"Pictures/2010/link", "symlink", 0o777, target=b"../a.txt"), line(b"Pictures/2010/sub", "fifo", 0o600)]
    return [(b"Pictures", root, dict(files=2, dirs=1, others=0, bytes=2 * len(A))),
            (b"Pictures/2010", deep, dict(files=5, dirs=1, others=2, bytes=2 * len(B) + len(C) + len(JOINED)))]


def age(data, to):
    return run("age", "-r", to, stdin=data)


def repository(folder, encrypted):
    shutil.rmtree(folder, ignore_errors=True)
    key, suffix = (KEY, ".age") if encrypted else (None, "")
    config = {"format": 1, "id": ID, "created": "2026-11-24T02:46:39Z", "encryption": "age" if encrypted else "none"}
    if encrypted:
        config["key"] = fingerprint(KEY)
    config.update(compression="default", storage_class="GLACIER", something_newer={"ignored": True})
    config = json.dumps(config, indent=2).encode() + b"\n"
    put(folder + "/tarn.json", config)
    put(folder + "/RECOVERY.txt", b"golden\n")
    recipient = None
    if not encrypted:
        put(folder + "/keys/" + KEYS + ".json", keys(None, config))
    else:
        identity = run("age-keygen", stderr=subprocess.DEVNULL).decode()
        secret = identity.strip().splitlines()[-1]
        recipient = run("age-keygen", "-y", stdin=identity.encode()).decode().strip()
        put(folder + ".identity.txt", ("# tarn key: %s %s\n%s" % (ID, fingerprint(KEY), identity)).encode())
        plain = json.dumps({"key": base64.b64encode(KEY).decode(), "identities": [secret]}).encode()
        put(folder + "/keys/" + KEYS + ".json", keys(
            KEY, config, recipients=[{"recipient": recipient, "direct": True, "label": "repository", "created": "2026-11-24T02:46:39Z"}],
            secret=run("age", "-a", "-r", recipient, stdin=plain).decode()))
    seal_object = (lambda b: age(b, recipient)) if encrypted else (lambda b: b)

    with tempfile.TemporaryDirectory() as root:
        os.makedirs(root + "/Pictures/2010", 0o755)
        for name, data in ((b"a.txt", A), (b"2010/b.bin", B), (b"2010/caf\xe9", C)):
            put(os.fsencode(root) + b"/Pictures/" + name, data)
        os.link(root + "/Pictures/2010/b.bin", root + "/Pictures/2010/hard")
        members = [b"Pictures", b"Pictures/a.txt", b"Pictures/2010", b"Pictures/2010/b.bin", b"Pictures/2010/caf\xe9", b"Pictures/2010/hard"]
        stream, where, frames, stored = archive(root, members)
    stored, header = seal_object(stored), b""
    if encrypted:
        end = stored.index(b"\n", stored.index(b"\n--- ") + 1) + 1
        header = stored[:end + 16]
    split = b"Pictures/2010"
    name = "archives/" + ("" if encrypted else escape(split).decode() + "/") + ARCHIVE + ".tar.zst" + suffix
    put(folder + "/" + name, stored)
    contents = sorted((where[p], SHA(c), len(c), p) for p, c in ((b"Pictures/a.txt", A), (b"Pictures/2010/b.bin", B), (b"Pictures/2010/caf\xe9", C)))
    put(folder + "/indexes/" + ARCHIVE + ".jsonl.zst" + suffix, seal_object(zst(index(
        key, ARCHIVE, name.encode(), split, "2026-11-24T02:46:40Z", [(h, o, n, p) for o, h, n, p in contents], frames, len(stream), len(stored), crc64nvme(stored), header))))

    splits = []
    for path, lines, counts in trees():
        data = b"".join(lines)
        id = tree_id(key, data)
        half = len(lines) // 2  # two zstd frames: a reader takes any number
        put(folder + "/trees/" + id + ".jsonl.zst" + suffix, seal_object(zst(b"".join(lines[:half])) + zst(b"".join(lines[half:]))))
        splits.append(dict(path=path.decode(), tree=id, size=len(data), **counts))
    put(folder + "/snapshots/" + SNAPSHOT + ".json" + suffix, seal_object(seal(key, b"snapshot", {
        "format": 1, "id": SNAPSHOT, "repository": ID, "time": "2026-11-24T02:46:40.123456789Z", "ended": "2026-11-24T02:46:41Z",
        "host": "tarnhost", "user": "ann", "program": "make.py", "tags": ["golden"],
        "sources": [{"name": "Pictures", "path": "/home/ann/Bilder \ufffd", "path_raw": "/home/ann/Bilder\\040\\377", "split_depth": 1}],
        "splits": splits, "errors": [{"path": "Pictures/locked", "error": "permission denied"}], "error_count": 1,
        "options": {"excludes": "*.tmp"}, "newer": [1]})))


def main():
    put("entries.jsonl", entries())
    put("macs.json", macs())
    put("splits.jsonl", b"".join(json.dumps({"split": raw(s), "key": escape(s).decode()}, ensure_ascii=False).encode() + b"\n" for s in SPLITS))
    put("index-plain.jsonl", golden_index(False))
    put("index-age.jsonl", golden_index(True))
    repository("plain", False)
    repository("age", True)


if __name__ == "__main__":
    main()
