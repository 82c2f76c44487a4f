package check

import (
	"strings"

	"github.com/tarn-backup/tarn/internal/repo"
)

// What mends a damage, for people.
const (
	adviseAgain   = "Check again when the storage gives all that it holds: what could not be read need not be damaged."
	adviseBackup  = "The next `tarn backup` of sources that still have the files stores them again."
	adviseMove    = "Restore from it first what no source has any more. Then move this object away or delete it: the next `tarn backup` stores again what the sources still have."
	adviseIndex   = "`tarn rebuild` makes it anew."
	adviseIndexes = "`tarn rebuild` makes the indexes of archives that have none; what is still in no index then, `tarn backup --force` stores again from the sources."
	adviseKeys    = "`tarn rebuild` stores the keys again where fewer than two copies are whole; then this object may be deleted."
	adviseCopy    = "`tarn rebuild` stores another copy."
	adviseReplace = "Move this object away or delete it: then `tarn rebuild` makes it anew."
	adviseLost    = "Nothing brings it back. Files that other snapshots have, too, can be restored from those."
	adviseRead    = "Put a good copy of it back, if there is one."
)

// advice says what mends the damage.
func (d *damage) advice() string {
	made := adviseReplace
	if d.gone {
		made = adviseIndex
	}
	switch key := d.Key; {
	case d.Unread:
		return adviseAgain
	case d.frozen:
		return repo.AdviceCold
	case key == contentless:
		return adviseIndexes
	case strings.HasPrefix(key, "archives/"):
		if d.resized {
			return adviseBackup
		}
		return adviseMove
	case key == "keys/":
		return adviseCopy
	case strings.HasPrefix(key, "keys/"):
		return adviseKeys
	case key == "tarn.json", strings.HasPrefix(key, "indexes/"), strings.HasPrefix(key, "trees/"):
		return made
	case strings.HasPrefix(key, "snapshots/"):
		return adviseLost
	}
	return adviseRead
}
