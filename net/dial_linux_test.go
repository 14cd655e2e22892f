package net_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	stdnet "net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// fullBacklog returns the address of a listener that answers no more, and a
// function that makes room in its backlog.
func fullBacklog(t testing.TB, network string) (addr string, makeRoom func()) {
	t.Helper()
	var sa syscall.Sockaddr
	family := syscall.AF_INET
	switch network {
	case "tcp4":
		sa = &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	case "tcp6":
		family, sa = syscall.AF_INET6, &syscall.SockaddrInet6{Addr: [16]byte{15: 1}}
	case "unix":
		addr = filepath.Join(shortDir(t), "full")
		family, sa = syscall.AF_UNIX, &syscall.SockaddrUnix{Name: addr}
	}
	open := func() int {
		fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = syscall.Close(fd) })
		return fd
	}
	l := open()
	require.NoError(t, syscall.Bind(l, sa))
	require.NoError(t, syscall.Listen(l, 0))
	sa, err := syscall.Getsockname(l)
	require.NoError(t, err)
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		addr = stdnet.JoinHostPort("127.0.0.1", strconv.Itoa(sa.Port))
	case *syscall.SockaddrInet6:
		addr = stdnet.JoinHostPort("::1", strconv.Itoa(sa.Port))
	}
	for range 4 {
		_ = syscall.Connect(open(), sa) // those that are too many fail or go on trying
	}
	return addr, func() {
		// Those that have gone on trying come first or in between, so accepting
		// has to go on, too.
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				switch fd, _, err := syscall.Accept4(l, syscall.SOCK_CLOEXEC); err {
				case nil:
					_ = syscall.Close(fd)
					continue
				case syscall.EAGAIN, syscall.EINTR:
				default:
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
		t.Cleanup(func() {
			close(stop)
			<-stopped
		})
	}
}

// A dial that gets no answer ends when its time has come, or its context.
func TestErrorsOfADialWithoutAnswer(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp4", "tcp6"} {
			addr, _ := fullBacklog(t, network)
			sameErrors(t, rt, network, network, func(o *observer) {
				dial := func(ctx context.Context, d stdnet.Dialer) error {
					return closing(o.dial(ctx, d, network, addr))
				}
				o.timeouts = "is a timeout "
				o.see("timeout", dial(context.Background(), stdnet.Dialer{Timeout: 5 * time.Millisecond}))
				o.see("deadline", dial(context.Background(), stdnet.Dialer{Deadline: time.Now().Add(5 * time.Millisecond)}))
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
				defer cancel()
				o.see("context", dial(ctx, stdnet.Dialer{Timeout: time.Hour}))
				ctx, cancel = context.WithCancel(context.Background())
				stop := time.AfterFunc(5*time.Millisecond, cancel)
				defer stop.Stop()
				o.see("cancelled", dial(ctx, stdnet.Dialer{Timeout: time.Hour}))
				ctx, cancelCause := context.WithCancelCause(context.Background())
				stop = time.AfterFunc(5*time.Millisecond, func() { cancelCause(syscall.EDOM) })
				defer stop.Stop()
				o.see("cancelled with a cause", dial(ctx, stdnet.Dialer{}))
			})
		}
	})
}

// A Unix socket whose backlog is full refuses at once by EAGAIN, or lets the
// dial wait until its time is over; both are timeouts.
func TestErrorsOfAUnixBacklog(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr, _ := fullBacklog(t, "unix")
		sameErrors(t, rt, "unix", "unix", func(o *observer) {
			err := closing(o.dial(context.Background(), stdnet.Dialer{Timeout: 5 * time.Millisecond}, "unix", addr))
			require.Error(o, err)
			o.value("timeout", err.(stdnet.Error).Timeout())
		})
	})
}

// Dials that are given up at a random moment leave no descriptor behind, and
// do not disturb those that succeed.
func TestDialsGivenUp(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		server := start(func() (int, error) {
			for {
				c, err := l.Accept()
				if err != nil {
					return 0, err
				}
				_ = c.Close()
			}
		})
		lib := ours(rt)
		var dials []<-chan result
		for range 4 {
			dials = append(dials, start(func() (n int, err error) {
				for i := range pick(100, 30) {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*2*time.Microsecond)
					c, err := lib.dial(ctx, stdnet.Dialer{}, l.Addr().Network(), l.Addr().String())
					cancel()
					if err == nil {
						n++
						_ = c.Close()
					} else if ctx.Err() == nil {
						return n, err
					}
				}
				return n, nil
			}))
		}
		for _, d := range dials {
			require.NoError(t, (<-d).err)
		}
		require.NoError(t, l.Close())
		require.Error(t, (<-server).err)
	})
}

var (
	portsMu sync.Mutex
	ports   = make(map[int]bool) // that unusedPort has returned
)

// unusedPort returns a port that nobody listens on, of those that the kernel
// gives to sockets that connect, another one each time.
func unusedPort(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	require.NoError(t, err)
	var low, high int
	_, err = fmt.Sscan(string(b), &low, &high)
	require.NoError(t, err)
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 100 {
		// It favours those that differ from the lowest by an even number, and
		// others for sockets that listen.
		port := low + 2*rand.IntN((high-low)/2)
		if ports[port] {
			continue
		}
		ports[port] = true
		l, err := stdnet.Listen("tcp4", stdnet.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			require.NoError(t, l.Close())
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// A socket that connects to a port where nobody listens may be given that very
// port, and is connected to itself. A dial does not return such a thing.
func TestDialDoesNotReachItself(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !plain(t) {
			return
		}
		addr := stdnet.JoinHostPort("127.0.0.1", unusedPort(t))
		lib := ours(rt)
		for i := range pick(20_000, 500) {
			c, err := lib.dial(context.Background(), stdnet.Dialer{}, "tcp4", addr)
			if err == nil {
				_ = c.Close()
				t.Fatalf("dial %d connected %v to %v", i, c.LocalAddr(), c.RemoteAddr())
			}
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
	})
}
