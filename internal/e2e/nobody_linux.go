package e2e

import (
	"os"
	"syscall"
	"testing"
)

// AsNobody lets the test go on as a user who is hindered by modes.
func AsNobody(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := syscall.Setresuid(-1, 65534, -1); err != nil {
		t.Skipf("the superuser reads everything, and can't become another: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Setresuid(-1, 0, -1); err != nil {
			t.Fatal(err)
		}
	})
}
