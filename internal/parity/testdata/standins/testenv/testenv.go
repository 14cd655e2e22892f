// Package testenv stands in for internal/testenv of the toolchain.
package testenv

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Builder is the name of the build machine: none.
func Builder() string { return "" }

// HasExternalNetwork says that these tests stay on the loopback interface.
func HasExternalNetwork() bool { return false }

// MustHaveExternalNetwork skips the test.
func MustHaveExternalNetwork(t testing.TB) {
	t.Helper()
	t.Skip("needs the network outside")
}

// SkipFlaky skips the test.
func SkipFlaky(t testing.TB, issue int) {
	t.Helper()
	t.Skip("flaky")
}

// SkipFlakyNet does nothing.
func SkipFlakyNet(testing.TB) {}

// SkipIfOptimizationOff does nothing.
func SkipIfOptimizationOff(testing.TB) {}

// Executable returns the path of the test binary.
func Executable(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Command returns a command that ends with the test.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), name, args...)
}

// MustHaveExec does nothing.
func MustHaveExec(testing.TB) {}

// SyscallIsNotSupported reports whether an error says that the system cannot.
func SyscallIsNotSupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM)
}
