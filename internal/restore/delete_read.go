package restore

import (
	"bytes"

	"github.com/tarn-backup/tarn"
)

// read gives the beginning of a file that says what was left out: as it is in
// the snapshot, whatever stands in the target, else as it is in the target.
func (d *deleter) read(path string, limit int64) ([]byte, error) {
	e := d.says[path]
	if e == nil || limit > 0 && e.Type != tarn.TypeFile {
		return d.r.target.ReadFile(path, limit)
	}
	if limit = min(limit, e.Size); limit == 0 {
		return nil, nil
	}
	h, size, err := d.r.target.HashFile(d.ctx, path, e.Size)
	if err == nil && size == e.Size && h == e.Content {
		return d.r.target.ReadFile(path, limit)
	}
	var b bytes.Buffer
	for _, x := range extentsOf(e) {
		x.Length = min(x.Length, limit-int64(b.Len()))
		if x.Length <= 0 {
			break
		}
		if err := d.r.archives.extent(d.ctx, d.r.Contents, x, &b); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
