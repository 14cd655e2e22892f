package proactor_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// requireErrno checks the errno and the name of the call in an error.
func requireErrno(t *testing.T, err error, call string, errno syscall.Errno) {
	t.Helper()
	var sys *os.SyscallError
	require.ErrorAs(t, err, &sys)
	require.Equal(t, call, sys.Syscall)
	require.ErrorIs(t, err, errno)
}

func TestFileOperations(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ctx := t.Context()
		name := filepath.Join(t.TempDir(), "f")
		fd, err := proactor.Do(ctx, rt, proactor.Open{Path: name, Flag: os.O_RDWR | os.O_CREATE | os.O_EXCL, Perm: 0o640})
		require.NoError(t, err)
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.EqualValues(t, 0o640, info.Mode())

		n, err := proactor.Do(ctx, rt, proactor.Write{FD: fd, Buf: []byte("hello, world")})
		require.NoError(t, err)
		require.Equal(t, 12, n)
		n, err = proactor.Do(ctx, rt, proactor.WriteAt{FD: fd, Buf: []byte("W"), Offset: 7})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = proactor.Do(ctx, rt, proactor.Fsync{FD: fd})
		require.NoError(t, err)
		_, err = proactor.Do(ctx, rt, proactor.Fsync{FD: fd, DataOnly: true})
		require.NoError(t, err)

		buf := make([]byte, 64)
		n, err = proactor.Do(ctx, rt, proactor.ReadAt{FD: fd, Buf: buf, Offset: 7})
		require.NoError(t, err)
		require.Equal(t, "World", string(buf[:n]))
		n, err = proactor.Do(ctx, rt, proactor.ReadAt{FD: fd, Buf: buf, Offset: 100})
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = proactor.Do(ctx, rt, proactor.Read{FD: fd, Buf: buf}) // stands at the end
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = proactor.Do(ctx, rt, proactor.ReadAt{FD: fd, Buf: buf, Offset: -1})
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = proactor.Do(ctx, rt, proactor.WriteAt{FD: fd, Buf: buf, Offset: -1})
		require.ErrorIs(t, err, syscall.EINVAL)

		_, err = proactor.Do(ctx, rt, proactor.CloseFD{FD: fd})
		require.NoError(t, err)
		_, err = proactor.Do(ctx, rt, proactor.CloseFD{FD: fd})
		requireErrno(t, err, "close", syscall.EBADF)
		_, err = proactor.Do(ctx, rt, proactor.Open{Path: name + "x"})
		requireErrno(t, err, "openat", syscall.ENOENT)
		_, err = proactor.Do(ctx, rt, proactor.Open{Path: "a\x00b"})
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}

func TestTruncate(t *testing.T) {
	testkit.NeedKernel(t, 6, 9, "FTRUNCATE")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		_, err := proactor.Do(t.Context(), rt, proactor.Truncate{FD: int(f.Fd()), Size: 12345})
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		require.EqualValues(t, 12345, info.Size())
	})
}

func TestSocketOperations(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ctx := t.Context()
		a, b := socketpair(t)
		buf := make([]byte, 64)
		received, err := proactor.Submit(ctx, rt, proactor.Recv{FD: b, Buf: buf})
		require.NoError(t, err)
		n, err := proactor.Do(ctx, rt, proactor.Send{FD: a, Buf: []byte("ping")})
		require.NoError(t, err)
		require.Equal(t, 4, n)
		n, err = received.Result()
		require.NoError(t, err)
		require.Equal(t, "ping", string(buf[:n]))

		const pollIn, pollRdHup = 0x1, 0x2000
		polled, err := proactor.Submit(ctx, rt, proactor.Poll{FD: b, Events: pollIn | pollRdHup})
		require.NoError(t, err)
		_, err = proactor.Do(ctx, rt, proactor.Shutdown{FD: a, How: syscall.SHUT_WR})
		require.NoError(t, err)
		events, err := polled.Result()
		require.NoError(t, err)
		require.EqualValues(t, pollIn|pollRdHup, events)
		n, err = proactor.Do(ctx, rt, proactor.Recv{FD: b, Buf: buf})
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = proactor.Do(ctx, rt, proactor.Send{FD: a, Buf: buf})
		requireErrno(t, err, "send", syscall.EPIPE) // and no signal

		l, addr := listener(t)
		accepted, err := proactor.Submit(ctx, rt, proactor.Accept{FD: l})
		require.NoError(t, err)
		client := dial(t, addr)
		fds(t, client)
		conn, err := accepted.Result()
		require.NoError(t, err)
		fds(t, conn.FD)
		local, err := syscall.Getsockname(client)
		require.NoError(t, err)
		require.Equal(t, local.(*syscall.SockaddrInet4).Port, int(conn.Peer.IP.Port()))
	})
}

func TestTimeout(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		start := time.Now()
		_, err := proactor.Do(t.Context(), rt, proactor.Timeout{After: 10 * time.Millisecond})
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), 10*time.Millisecond)
		c, err := proactor.Submit(t.Context(), rt, proactor.Timeout{After: time.Hour})
		require.NoError(t, err)
		require.True(t, c.Cancel())
		_, err = c.Result()
		require.ErrorIs(t, err, proactor.ErrCanceled)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// socketOp is an operation that the package does not have.
type socketOp struct{ family, typ int }

func (o socketOp) Prepare(r *proactor.Request) error {
	r.SQE.PrepSocket(o.family, o.typ, 0)
	r.OwnsFD = true
	return nil
}

func (socketOp) Result(_ *proactor.Request, c driver.Completion) (int, error) {
	return int(c.Res), nil
}

func TestOwnOperation(t *testing.T) {
	op := socketOp{syscall.AF_UNIX, syscall.SOCK_STREAM | syscall.SOCK_CLOEXEC}
	_, err := proactor.Do(t.Context(), open(t, proactor.Config{}), op)
	requireErrno(t, err, "socket", syscall.EACCES)

	rt := open(t, proactor.Config{Extra: []uring.Op{uring.IORING_OP_SOCKET}})
	fd, err := proactor.Do(t.Context(), rt, op)
	require.NoError(t, err)
	fds(t, fd)

	_, err = proactor.Do(t.Context(), rt, badOp{})
	require.ErrorIs(t, err, errBad)
}

var errBad = errors.New("bad")

// badOp cannot be prepared.
type badOp struct{ socketOp }

func (badOp) Prepare(*proactor.Request) error { return errBad }
