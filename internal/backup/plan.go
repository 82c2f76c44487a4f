package backup

import "github.com/tarn-backup/tarn"

// planned is the archive that a dry run would be writing.
type planned struct {
	members int
	size    int64 // of tar
}

// What a member takes in a tar at most, beside its content: its header, and a
// pax record of three blocks for what that has no room for. Its content fills whole blocks.
const (
	tarBlock  = 512
	tarHeader = 3 * tarBlock
)

// plan counts a member as store would write it.
func (p *packer) plan(e *tarn.Entry) {
	if p.planned.members > 0 && p.full(p.planned.members, p.planned.size, e) {
		p.cutPlan()
	}
	p.planned.members++
	p.planned.size += tarHeader
	if e.Type == tarn.TypeFile {
		p.planned.size += (e.Size + tarBlock - 1) / tarBlock * tarBlock
	}
}

// cutPlan ends the archive that would be open, if there is one.
func (p *packer) cutPlan() {
	if p.planned.members == 0 {
		return
	}
	size := stored(p.planned.size)
	p.r.mu.Lock()
	p.r.result.Members += int64(p.planned.members)
	p.r.result.Made = append(p.r.result.Made, Made{p.r.classOf(size), size})
	p.r.result.Archives++
	p.r.mu.Unlock()
	p.planned = planned{}
}

// stored is what so much tar takes if nothing of it can be compressed: the
// blocks of zstd, its table of frames, and the chunks of age add to it.
func stored(tar int64) int64 { return tar + tar/2048 + 2048 }
