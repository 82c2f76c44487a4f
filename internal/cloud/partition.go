package cloud

import (
	"fmt"
	"regexp"
	"strings"
)

// partition is a part of AWS that knows nothing of the others: its ARNs and the
// names of its servers are its own.
type partition struct {
	id      string
	suffix  string // of its servers' names
	regions *regexp.Regexp
}

// partitions are those that the SDK knows.
var partitions = []partition{
	{"aws-cn", "amazonaws.com.cn", regexp.MustCompile(`^cn-`)},
	{"aws-us-gov", "amazonaws.com", regexp.MustCompile(`^us-gov-`)},
	{"aws-eusc", "amazonaws.eu", regexp.MustCompile(`^eusc-`)},
	{"aws-iso", "c2s.ic.gov", regexp.MustCompile(`^us-iso-`)},
	{"aws-iso-b", "sc2s.sgov.gov", regexp.MustCompile(`^us-isob-`)},
	{"aws-iso-e", "cloud.adc-e.uk", regexp.MustCompile(`^eu-isoe-`)},
	{"aws-iso-f", "csp.hci.ic.gov", regexp.MustCompile(`^us-isof-`)},
	{"aws", "amazonaws.com", regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+$`)},
}

// Partition returns the part of AWS that a region lies in, as ARNs name it; "" if
// it is none that is known.
func Partition(region string) string {
	for _, p := range partitions {
		if p.regions.MatchString(region) {
			return p.id
		}
	}
	return ""
}

// CheckPartition refuses a region of which nobody can say how its ARNs begin
// without asking AWS.
func CheckPartition(region string) error {
	if Partition(region) == "" {
		return fmt.Errorf("region %q: it is in no part of AWS that is known here: %w", region, ErrRegion)
	}
	return nil
}

// suffix is how the names of a partition's servers end.
func suffix(id string) string {
	for _, p := range partitions {
		if p.id == id {
			return p.suffix
		}
	}
	return "amazonaws.com"
}

// arnPartition is the partition that an ARN names; "" if it is none.
func arnPartition(arn string) string {
	parts := strings.SplitN(arn, ":", 3)
	if len(parts) < 3 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") {
		return ""
	}
	return parts[1]
}
