package repo

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestContentParsersAgree holds the fast parser of an index's contents to
// encoding/json, over lines as they are written and with one byte changed, removed or doubled.
func TestContentParsersAgree(t *testing.T) {
	taken := 0
	rapid.Check(t, func(rt *rapid.T) {
		sum := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "hash")
		line := fmt.Appendf(nil, `{"type":"content","content":"%s","offset":%d,"size":%d,`, hex.EncodeToString(sum), rapid.Int64Min(0).Draw(rt, "offset"), rapid.Int64Min(0).Draw(rt, "size"))
		line = append(appendText(line, "path", rapid.String().Draw(rt, "path")), '}')
		i := rapid.IntRange(0, len(line)-1).Draw(rt, "at")
		switch rapid.IntRange(0, 3).Draw(rt, "how") {
		case 0:
			line[i] = rapid.Byte().Draw(rt, "byte")
		case 1:
			line = slices.Delete(line, i, i+1)
		case 2:
			line = slices.Insert(line, i, line[i])
		}
		var fast, slow indexLine
		if !parseContent(line, &fast) {
			return
		}
		taken++
		if err := json.Unmarshal(line, &slow); err != nil || !reflect.DeepEqual(fast, slow) {
			rt.Fatalf("%q:\nfast %+v\nslow %+v, %v", line, fast, slow, err)
		}
	})
	if taken == 0 {
		t.Error("the fast parser took no line")
	}
}
