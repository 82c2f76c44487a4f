package archive

import "encoding/binary"

const block = 512 // bytes of a tar block

var zeroBlock [block]byte

// The most that the fields of a ustar header hold.
const (
	maxUstarName = 100
	maxUstarUser = 31        // with the NUL that closes it
	maxUstarID   = 1<<21 - 1 // 7 octal digits
	maxUstarSize = 1<<33 - 1 // 11 octal digits: also of times
	maxUstarPath = 155 + 1 + 100
)

// ustar holds the fields of a POSIX.1-1988 header, all of which fit.
type ustar struct {
	prefix, name, link string
	user, group        string
	mode, uid, gid     uint32
	major, minor       uint32
	size, mtime        int64
	flag               byte
}

// append appends the header's block. Code of our own and not archive/tar, which
// makes garbage for each member.
func (u *ustar) append(b []byte) []byte {
	b = append(b, zeroBlock[:]...)
	h := b[len(b)-block:]
	copy(h[0:100], u.name)
	octal(h[100:108], uint64(u.mode))
	octal(h[108:116], uint64(u.uid))
	octal(h[116:124], uint64(u.gid))
	octal(h[124:136], uint64(u.size))
	octal(h[136:148], uint64(u.mtime))
	copy(h[148:156], "        ") // what the checksum is computed with
	h[156] = u.flag
	copy(h[157:257], u.link)
	copy(h[257:265], "ustar\x0000")
	copy(h[265:297], u.user)
	copy(h[297:329], u.group)
	number(h[329:337], u.major)
	number(h[337:345], u.minor)
	copy(h[345:500], u.prefix)
	octal(h[148:155], uint64(sum(h)))
	return b
}

// octal fills a field with octal digits and a closing NUL. v must fit.
func octal(field []byte, v uint64) {
	n := len(field) - 1
	for i := n - 1; i >= 0; i-- {
		field[i] = byte('0' + v&7)
		v >>= 3
	}
	field[n] = 0
}

// number is octal for the numbers of devices. A minor number of macOS can take
// 8 digits, and there is no pax record that GNU tar knows for it: it stands
// in base 256 then, which GNU tar, libarchive and Go read.
func number(field []byte, v uint32) {
	if v <= maxUstarID {
		octal(field, uint64(v))
		return
	}
	field[0] = 0x80
	binary.BigEndian.PutUint32(field[len(field)-4:], v)
}

// sum adds the bytes of a header, eight at a time: the even and the odd ones in
// four lanes of 16 bits, which 64 steps of at most 2*255 can't overflow.
func sum(h []byte) uint32 {
	const lanes = 0x00ff00ff00ff00ff
	var s uint64
	for i := 0; i < block; i += 8 {
		v := binary.LittleEndian.Uint64(h[i:])
		s += v&lanes + v>>8&lanes
	}
	return uint32(s&0xffff + s>>16&0xffff + s>>32&0xffff + s>>48)
}
