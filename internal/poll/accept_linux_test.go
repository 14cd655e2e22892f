package poll

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// listening returns a socket that listens, and a function that connects to it
// and returns the port that it does so from.
func listening(t testing.TB) (sysfd int, connect func() int) {
	t.Helper()
	sysfd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Bind(sysfd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(sysfd, 64))
	addr, err := syscall.Getsockname(sysfd)
	require.NoError(t, err)
	return sysfd, func() int {
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = syscall.Close(c) })
		require.NoError(t, syscall.Connect(c, addr))
		own, err := syscall.Getsockname(c)
		require.NoError(t, err)
		return own.(*syscall.SockaddrInet4).Port
	}
}

// acceptors are the ways in which an Acceptor can work.
var acceptors = map[string]func(a *Acceptor){
	"inline first": func(*Acceptor) {},
	"shared":       func(a *Acceptor) { a.Share() },
	// As with kernels whose accept fails with EAGAIN on a non-blocking descriptor.
	"refused":            func(a *Acceptor) { a.refuses = true },
	"refused and shared": func(a *Acceptor) { a.refuses = true; a.Share() },
}

func forEachAcceptor(t *testing.T, f func(t *testing.T, a *Acceptor, connect func() int)) {
	t.Helper()
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, set := range acceptors {
			t.Run(name, func(t *testing.T) {
				sysfd, connect := listening(t)
				a := NewAcceptor(rt, sysfd, false)
				set(a)
				f(t, a, connect)
				_ = a.Close()
			})
		}
	})
}

func accepting(a *Acceptor) (<-chan error, *int) {
	port := new(int)
	return start(func() error {
		fd, peer, err := a.Accept()
		if err == nil {
			*port = peer.TCPAddr().Port
			err = syscall.Close(fd)
		}
		return err
	}), port
}

// Connections that are there and connections that come are accepted in order,
// with the addresses of their peers.
func TestAccept(t *testing.T) {
	forEachAcceptor(t, func(t *testing.T, a *Acceptor, connect func() int) {
		for _, n := range []int{0, 1, 3} {
			var ports []int
			for range n {
				ports = append(ports, connect())
			}
			for _, want := range ports {
				done, port := accepting(a)
				require.NoError(t, <-done)
				require.Equal(t, want, *port)
			}
			done, port := accepting(a)
			time.Sleep(time.Millisecond)
			require.Empty(t, done)
			want := connect()
			require.NoError(t, <-done)
			require.Equal(t, want, *port)
		}
		inline, aborted := a.Accepted()
		require.Zero(t, aborted)
		if a.Shared() {
			require.Zero(t, inline)
		} else {
			require.Positive(t, inline)
		}
	})
}

// A socket that somebody has made blocking is waited for where it can be given up.
func TestAcceptOfABlockingSocket(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		sysfd, connect := listening(t)
		a := NewAcceptor(rt, sysfd, true)
		require.NoError(t, syscall.SetNonblock(sysfd, false))
		connect()
		done, _ := accepting(a)
		require.NoError(t, <-done)
		done, _ = accepting(a)
		time.Sleep(time.Millisecond)
		require.NoError(t, a.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

// Without IORING_ACCEPT_POLL_FIRST it works as well. That the kernel has it is
// found out again by who gets EINVAL.
func TestAcceptOnAnOlderKernel(t *testing.T) {
	before := noPollFirst.Load()
	defer noPollFirst.Store(before)
	noPollFirst.Store(true)
	forEachAcceptor(t, func(t *testing.T, a *Acceptor, connect func() int) {
		for range 3 {
			done, _ := accepting(a)
			connect()
			require.NoError(t, <-done)
		}
	})
	noPollFirst.Store(false)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		sysfd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		a := NewAcceptor(rt, sysfd, true)
		a.rd.empty = true
		_, _, err = a.Accept()
		require.ErrorIs(t, err, syscall.EINVAL, "it does not listen")
		require.False(t, noPollFirst.Load())
		require.NoError(t, a.Close())
	})
}

// Draining takes what is there, and ends who waits; deadlines and Close count
// more.
func TestAcceptorDrain(t *testing.T) {
	forEachAcceptor(t, func(t *testing.T, a *Acceptor, connect func() int) {
		done, _ := accepting(a)
		time.Sleep(time.Millisecond)
		a.Drain()
		require.ErrorIs(t, <-done, net.ErrClosed)
		if a.Shared() {
			connect()
			_, _, err := a.Accept()
			require.ErrorIs(t, err, net.ErrClosed, "it belongs to whoever shares the socket")
			return
		}
		<-a.Emptied()
		want := connect()
		require.NoError(t, a.SetReadDeadline(time.Unix(1, 0)))
		_, _, err := a.Accept()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, a.SetReadDeadline(time.Time{}))
		done, port := accepting(a)
		require.NoError(t, <-done)
		require.Equal(t, want, *port)
		_, _, err = a.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		connect()
		require.NoError(t, a.Close())
		_, _, err = a.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// What the kernel says about a queue.
func TestAcceptQueue(t *testing.T) {
	sysfd, connect := listening(t)
	defer syscall.Close(sysfd)
	for i := range 3 {
		n, limit := sys.AcceptQueue(sysfd)
		require.Equal(t, i, n)
		require.Equal(t, 64, limit)
		require.Equal(t, i > 0, sys.Readable(sysfd))
		connect()
	}
	pair := tcpPair(t)
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	n, limit := sys.AcceptQueue(pair[0])
	require.Equal(t, -1, n, "it does not listen")
	require.Equal(t, -1, limit)
	require.False(t, sys.Readable(-1))
}
