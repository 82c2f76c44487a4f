package s3lab

import (
	"bytes"
	"encoding/xml"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// classes are the storage classes that the lab knows, in the order in which
// lifecycle rules move objects through them.
var classes = []string{standard, "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", glacier, deepArchive}

const (
	glacier     = "GLACIER"
	deepArchive = "DEEP_ARCHIVE"
)

func cold(class string) bool { return class == glacier || class == deepArchive }

// tiers are those of a thaw, slow ones first.
var tiers = []string{"Bulk", "Standard", "Expedited"}

func faster(a, b string) bool { return slices.Index(tiers, a) > slices.Index(tiers, b) }

// delays are how long a thaw takes, at least and at most, by class and tier.
var delays = map[string]map[string][2]time.Duration{
	glacier: {
		"Expedited": {time.Minute, 5 * time.Minute},
		"Standard":  {3 * time.Hour, 5 * time.Hour},
		"Bulk":      {5 * time.Hour, 12 * time.Hour},
	},
	deepArchive: {
		"Standard": {12 * time.Hour, 12 * time.Hour},
		"Bulk":     {48 * time.Hour, 48 * time.Hour},
	},
}

// delayOf is how long the thaw of an object takes, which is the same each
// time, so that a test that failed can be run again.
func delayOf(o Info, tier string) time.Duration {
	span := delays[o.Class][tier]
	h := fnv.New64a()
	h.Write([]byte(o.Bucket + "/" + o.Key)) // never fails
	return span[0] + time.Duration(h.Sum64()%uint64(span[1]-span[0]+1)).Round(time.Second)
}

// expiryOf is when a copy ends that is to last so many days from a time:
// S3 rounds up to midnight UTC.
func expiryOf(from time.Time, days int) time.Time {
	const long = 365 * 1000 // as good as any longer, and a year of four digits
	t := from.UTC().AddDate(0, 0, min(days, long))
	midnight := t.Truncate(24 * time.Hour)
	if midnight.Before(t) {
		midnight = midnight.AddDate(0, 0, 1)
	}
	return midnight
}

// restoreRequest is the body of RestoreObject.
type restoreRequest struct {
	XMLName              xml.Name `xml:"RestoreRequest"`
	Days                 *int32
	Type                 string
	Tier                 string
	GlacierJobParameters *struct{ Tier string }
}

// parseRestore reads the body of RestoreObject.
func parseRestore(body []byte) (days int, tier string, _ *Error) {
	var doc restoreRequest
	d := xml.NewDecoder(bytes.NewReader(body))
	if d.Decode(&doc) != nil || doc.Days == nil || *doc.Days < 1 || doc.Type != "" { // SELECT is gone from S3
		return 0, "", errMalformedXML
	}
	tier = doc.Tier
	if doc.GlacierJobParameters != nil {
		tier = doc.GlacierJobParameters.Tier
	}
	tier = strings.TrimSpace(tier)
	if tier == "" && doc.GlacierJobParameters == nil {
		tier = "Standard" // S3's default
	}
	if !slices.Contains(tiers, tier) {
		return 0, "", errMalformedXML
	}
	return int(*doc.Days), tier, nil
}
