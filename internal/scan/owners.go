package scan

import (
	"os/user"
	"strconv"
	"sync"

	"github.com/tarn-backup/tarn"
)

// ownerNames remembers the names of users and groups, and which ids have none.
type ownerNames struct {
	mu     sync.Mutex
	users  map[uint32]string
	groups map[uint32]string
}

func newOwnerNames() *ownerNames {
	return &ownerNames{users: map[uint32]string{}, groups: map[uint32]string{}}
}

func (o *ownerNames) lookUp(known map[uint32]string, id uint32, ask func(string) string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	name, ok := known[id]
	if !ok {
		name = ask(strconv.FormatUint(uint64(id), 10))
		known[id] = name
	}
	return name
}

func userName(id string) string {
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return ""
}

func groupName(id string) string {
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return ""
}

// ownerMemo sets owners without a lock as long as they stay the same, which
// in one directory they mostly do. It is for one goroutine.
type ownerMemo struct {
	names       *ownerNames
	set         bool
	uid, gid    uint32
	user, group string
}

// name sets the names of e.UID and e.GID.
func (m *ownerMemo) name(e *tarn.Entry) {
	if !m.set || m.uid != e.UID {
		m.uid, m.user = e.UID, m.names.lookUp(m.names.users, e.UID, userName)
	}
	if !m.set || m.gid != e.GID {
		m.gid, m.group = e.GID, m.names.lookUp(m.names.groups, e.GID, groupName)
	}
	m.set = true
	e.User, e.Group = m.user, m.group
}
