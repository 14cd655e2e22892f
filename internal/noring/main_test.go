package main

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// runEnv makes the test binary be the command itself.
const runEnv = "YAMANOTE_NORING_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runEnv) != "" {
		os.Exit(run(os.Args[1:]))
	}
	testkit.Main(m)
}

func noring(t *testing.T, args ...string) (int, string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), runEnv+"=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestTheCommandHasNoRing(t *testing.T) {
	if runtime.GOOS != "linux" {
		testkit.Skip(t, "io_uring is Linux's")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	// noring becomes itself, and what that becomes still has no ring, as
	// the tests that go test starts have none.
	code, out := noring(t, "--", self, self, "-probe")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "io_uring: no: io_uring_setup: operation not permitted")
}

func TestTheCommandIsLookedUpAndKeepsArgumentsAndExitCode(t *testing.T) {
	if runtime.GOOS != "linux" {
		testkit.Skip(t, "io_uring is Linux's")
	}
	code, out := noring(t, "sh", "-c", `echo "$0|$1"; exit 7`, "two words", "--")
	require.Equal(t, 7, code, out)
	require.Equal(t, "two words|--\n", out)
}

func TestWrongUse(t *testing.T) {
	code, out := noring(t)
	require.Equal(t, exitOwn, code)
	require.Contains(t, out, "usage: noring")

	code, out = noring(t, "--", "no-such-command-at-all")
	require.Equal(t, exitNotFound, code)
	require.Contains(t, out, "no-such-command-at-all")
}
