package proactor_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	testkit.BeforeCheck(func() { _ = proactor.ShutdownDefault(context.Background()) })
	testkit.Main(m)
}

// configs are the runtimes that tests of operations run on; without a ring
// there are none.
func configs() map[string]proactor.Config {
	return map[string]proactor.Config{
		"ring":        {},
		"ring/tiny":   {SQEntries: 2, CQEntries: 4},
		"ring/shards": {Shards: 3},
	}
}

// open starts a runtime with a ring that must shut down with nothing left.
func open(t testing.TB, cfg proactor.Config) *proactor.Runtime {
	t.Helper()
	cfg.Mode = proactor.ModeRing
	rt, err := proactor.New(cfg)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		testkit.Skip(t, "no ring here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, rt.Shutdown(ctx))
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, rt.Stats().Stale)
	})
	return rt
}

// forEach runs f on each kind of runtime, with rings that take all operations.
func forEach(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	t.Helper()
	for name, cfg := range configs() {
		cfg.Extra = proactor.AllOps()
		t.Run(name, func(t *testing.T) { f(t, open(t, cfg)) })
	}
}

// fds closes descriptors at the end of a test.
func fds(t testing.TB, list ...int) {
	t.Cleanup(func() {
		for _, fd := range list {
			_ = syscall.Close(fd)
		}
	})
}

func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	require.NoError(t, syscall.Pipe2(p[:], syscall.O_CLOEXEC))
	fds(t, p[:]...)
	return p[0], p[1]
}

func socketpair(t testing.TB) (a, b int) {
	t.Helper()
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	fds(t, p[:]...)
	return p[0], p[1]
}

// listener returns a listening TCP socket on the loopback and its address.
func listener(t testing.TB) (int, *syscall.SockaddrInet4) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	fds(t, fd)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 128))
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return fd, sa.(*syscall.SockaddrInet4)
}

// dial connects to a listener and returns the client's descriptor.
func dial(t testing.TB, addr *syscall.SockaddrInet4) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Connect(fd, addr))
	return fd
}

func tempFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}
