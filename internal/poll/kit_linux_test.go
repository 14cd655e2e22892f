package poll

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// configs are the runtimes that every test runs on.
func configs() map[string]proactor.Config {
	return map[string]proactor.Config{
		"ring": {},
		"tiny": {SQEntries: 2, CQEntries: 4},
	}
}

func forEach(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	t.Helper()
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) { f(t, open(t, cfg)) })
	}
}

// open starts a runtime that ends with the test, with nothing left.
func open(t testing.TB, cfg proactor.Config) *proactor.Runtime {
	t.Helper()
	testkit.Watchdog(t, time.Minute)
	cfg.Mode = proactor.ModeRing
	if cfg.Shards == 0 {
		cfg.Shards = 1 // what fills or holds the ring does it for all descriptors
	}
	rt, err := proactor.New(cfg)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		testkit.Skip(t, "no ring here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, rt.Close())
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, rt.Stats().Stale)
	})
	return rt
}

// pair returns a connection: one end as an FD, the other as a descriptor that
// blocks. Both are closed with the test, if they have not been before.
func pair(t testing.TB, rt *proactor.Runtime, tcp bool) (*FD, *peer) {
	t.Helper()
	var fds [2]int
	if tcp {
		fds = tcpPair(t)
	} else {
		var err error
		fds, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
	}
	fd, p := New(rt, fds[0]), &peer{fd: fds[1]}
	t.Cleanup(func() {
		_ = fd.Close()
		p.close()
	})
	return fd, p
}

func tcpPair(t testing.TB) (fds [2]int) {
	t.Helper()
	l, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(l)
	require.NoError(t, syscall.Bind(l, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(l, 1))
	addr, err := syscall.Getsockname(l)
	require.NoError(t, err)
	fds[0], err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Connect(fds[0], addr))
	fds[1], _, err = syscall.Accept4(l, syscall.SOCK_CLOEXEC)
	require.NoError(t, err)
	for _, fd := range fds {
		// What small sends in a row cost shall not be a delayed acknowledgement.
		require.NoError(t, syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
	}
	return fds
}

// peer is the other end of a connection, by plain system calls.
type peer struct{ fd int }

func (p *peer) close() {
	if p.fd >= 0 {
		_ = syscall.Close(p.fd)
		p.fd = -1
	}
}

func (p *peer) Read(b []byte) (int, error) {
	n, err := syscall.Read(p.fd, b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// readWithin is Read that fails if nothing comes in time.
func (p *peer) readWithin(b []byte, d time.Duration) (int, error) {
	tv := syscall.NsecToTimeval(int64(d))
	if err := syscall.SetsockoptTimeval(p.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv); err != nil {
		return 0, err
	}
	return p.Read(b)
}

// nothing checks that nothing has arrived.
func (p *peer) nothing(t testing.TB) {
	t.Helper()
	_, _, err := syscall.Recvfrom(p.fd, make([]byte, 1), syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
	require.Equal(t, syscall.EAGAIN, err)
}

// gate is a Sink that keeps who drives the ring for as long as a test wants: in
// that time there is a gatherer, and what is queued stays queued.
type gate struct {
	op            driver.Op
	entered, open chan struct{}
}

func (g *gate) Complete(*driver.Op, driver.Completion) {
	close(g.entered)
	<-g.open
}

// gathering makes a goroutine drive the ring, and stop there until the function
// that is returned has been called. That waits until the goroutine has left.
func gathering(t testing.TB, fd *FD) (leave func()) {
	t.Helper()
	g := &gate{entered: make(chan struct{}), open: make(chan struct{})}
	g.op.Sink = g
	g.op.SQE.PrepNop()
	left := make(chan error, 1)
	go func() { left <- fd.driver.Submit(context.Background(), &g.op) }()
	<-g.entered
	require.True(t, fd.driver.Gathering())
	return func() {
		t.Helper()
		close(g.open)
		require.NoError(t, <-left)
	}
}

// chunk returns n bytes of a stream in which every eight count the bytes before
// them, from byte at on; at and n need not be multiples of eight.
func chunk(at, n int) []byte {
	first := at &^ 7
	b := make([]byte, 0, n+16)
	for i := first; i < at+n; i += 8 {
		b = binary.BigEndian.AppendUint64(b, uint64(i))
	}
	return b[at-first:][:n]
}

// readStream reads n bytes of the stream from at on.
func readStream(t testing.TB, r io.Reader, at, n int) {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	require.NoError(t, err)
	require.Equal(t, chunk(at, n), b)
}

// shrink gives a connection small buffers in the kernel.
func shrink(t testing.TB, fd *FD, p *peer) {
	t.Helper()
	require.NoError(t, syscall.SetsockoptInt(fd.sysfd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10))
	require.NoError(t, syscall.SetsockoptInt(p.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10))
}

// fill sends until the kernel has no room, and returns how much that was.
func fill(t testing.TB, fd *FD, at int) int {
	t.Helper()
	sum := 0
	for {
		require.NoError(t, fd.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
		n, err := fd.Send(chunk(at+sum, MaxBehind+1)) // too large to be sent behind
		if sum += n; err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, fd.SetWriteDeadline(time.Time{}))
			// On a busy machine the deadline may have passed before Send began.
			n, errno := sys.SendNow(fd.sysfd, chunk(at+sum, 1))
			if errno == syscall.EAGAIN {
				return sum
			}
			require.Zero(t, errno)
			sum += n
		}
	}
}

// idle reports whether nothing is unsent, and checks that no buffer is held then.
func idle(t testing.TB, fd *FD) bool {
	w := fd.behind.Load()
	w.hold()
	defer w.release()
	if w.active {
		return false
	}
	require.Nil(t, w.sending)
	require.Nil(t, w.next)
	require.Zero(t, w.unsent)
	return true
}

// start runs f in a goroutine.
func start(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

func jitter(d time.Duration) { time.Sleep(time.Duration(rand.Int64N(int64(d)))) }
