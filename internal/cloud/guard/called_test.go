package guard_test

import (
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud/guard"
)

// TestCalled: the name to type is one that people know the thing by.
func TestCalled(t *testing.T) {
	for name, want := range map[string]string{
		"":        "Data", // the logical id
		"my-data": "my-data",
		"arn:aws:cloudformation:eu-west-1:123456789012:stack/app-Data-1ABC/6e5f0d70-1111-2222-3333-0a1b2c3d4e5f":     "app-Data-1ABC",
		"arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/app-Data-1ABC/6e5f0d70-1111-2222-3333-0a1b2c3d4e5f": "app-Data-1ABC",
		"arn:aws:sns:eu-west-1:123456789012:topic":                   "topic",
		"arn:aws:dynamodb:eu-west-1:123456789012:table/orders":       "orders",
		"https://sqs.eu-west-1.amazonaws.com/123456789012/work.fifo": "work.fifo",
	} {
		if got := (&guard.Change{ID: "Data", Name: name}).Called(); got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
}
