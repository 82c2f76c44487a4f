package bill

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Usage is what a storage has counted as the price book prices it. Of thaws it has the
// requests only: how many bytes these thaw, whoever asked for them knows.
func Usage(m storage.Metered) (price.Usage, error) {
	var u price.Usage
	for _, r := range slices.SortedFunc(maps.Keys(m.Requests), compareRequests) {
		n := m.Requests[r]
		if r.Operation == "RestoreObject" {
			u.Thaw(r.Class, price.Tier(r.Tier), n, 0)
			continue
		}
		op, class := operation(r)
		if err := u.Request(op, class, n); err != nil {
			return price.Usage{}, fmt.Errorf("pricing what was counted: %w", err)
		}
	}
	for class, n := range m.Retrieved {
		u.Read(class, 0, n)
	}
	u.TransferOut(m.Down)
	return u, nil
}

func compareRequests(a, b storage.Request) int {
	return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Tier, b.Tier))
}

// operation is what the price book calls a request. What S3 has no price of its
// own for bills as a GET of STANDARD, or a PUT.
func operation(r storage.Request) (price.Operation, tarn.Class) {
	switch op := r.Operation; {
	case strings.HasPrefix(op, "List"):
		return price.ListObjects, ""
	case strings.HasPrefix(op, "Delete"):
		return price.DeleteObject, ""
	case op == "UploadPartCopy":
		return price.UploadPart, r.Class
	case strings.HasPrefix(op, "GetObject"):
		return price.GetObject, r.Class
	case op == "HeadBucket", strings.HasPrefix(op, "GetBucket"):
		return price.GetObject, tarn.Standard
	}
	return price.Operation(r.Operation), r.Class
}
