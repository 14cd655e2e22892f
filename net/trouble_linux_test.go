package net_test

import (
	"context"
	"io"
	stdnet "net"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

const childEnv = "YAMANOTE_NET_CHILD"

// inChild runs the calling test once more in a process of its own, for what
// cannot be undone in this one, and returns false there.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childEnv) != "" {
		return false
	}
	self, err := os.Executable()
	require.NoError(t, err)
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1", "-test.timeout=2m"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childEnv+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return true
}

func sockaddr(a stdnet.Addr) *syscall.SockaddrInet4 {
	return &syscall.SockaddrInet4{Port: a.(*stdnet.TCPAddr).Port, Addr: [4]byte(a.(*stdnet.TCPAddr).IP.To4())}
}

// A process without descriptors to spare: Accept, Dial and Listen fail with an
// error that says so and is temporary, nothing leaks, and they work again when
// there are some.
func TestNoDescriptorsLeft(t *testing.T) {
	if inChild(t) {
		return
	}
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		l := listen(t, rt, "tcp4")
		dir := shortDir(t)
		lib := ours(rt)
		c := dial(t, rt, l)

		// From here on there is room for as many as are given back.
		var limit syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
		low := limit
		low.Cur = 64
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
		defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)) }()
		var spare []int
		defer func() {
			for _, fd := range spare {
				_ = syscall.Close(fd)
			}
		}()
		exhaust := func() {
			for {
				fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
				if err != nil {
					require.ErrorIs(t, err, syscall.EMFILE)
					return
				}
				spare = append(spare, fd)
			}
		}
		giveBack := func(n int) {
			for range n {
				require.NoError(t, syscall.Close(spare[len(spare)-1]))
				spare = spare[:len(spare)-1]
			}
		}
		late, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		defer syscall.Close(late)
		server0, err := l.Accept()
		require.NoError(t, err)
		blocked := start(func() (int, error) { return 0, closing(l.Accept()) })
		time.Sleep(time.Millisecond) // most of the time it is blocked by now
		exhaust()
		require.NotEmpty(t, spare)
		isMfile := func(err error) {
			t.Helper()
			require.ErrorIs(t, err, syscall.EMFILE)
			e, ok := err.(temporary)
			require.True(t, ok)
			require.True(t, e.Temporary())
			require.False(t, e.Timeout())
			_, ok = err.(*stdnet.OpError)
			require.True(t, ok)
		}
		require.NoError(t, syscall.Connect(late, sockaddr(l.Addr())))
		isMfile((<-blocked).err)
		require.NoError(t, server0.SetReadDeadline(past)) // what is open still works
		for range 3 {
			_, err := l.Accept()
			isMfile(err)
			require.Contains(t, err.Error(), "accept4: too many open files")
			_, err = lib.dial(context.Background(), stdnet.Dialer{}, "tcp4", l.Addr().String())
			isMfile(err)
			require.Contains(t, err.Error(), "socket: too many open files")
			_, err = lib.listen("tcp4", "127.0.0.1:0")
			isMfile(err)
		}
		// Room for the socket that the standard library makes, and none for
		// what is to become of it.
		giveBack(1)
		ul, err := lib.listen("unix", dir+"/s")
		if rt.HasRing() {
			require.ErrorIs(t, err, syscall.EMFILE)
			_, err = os.Lstat(dir + "/s")
			require.ErrorIs(t, err, os.ErrNotExist, "the file of a listener that is none")
		} else {
			require.NoError(t, err)
			require.NoError(t, ul.Close())
		}

		// The connection that could not be accepted is still there.
		server, err := l.Accept()
		require.NoError(t, err)
		require.NotEqual(t, c.LocalAddr(), server.RemoteAddr())
		require.NoError(t, server0.SetReadDeadline(time.Time{}))
		roundTrip(t, c, server0)
		require.NoError(t, server0.Close())
		exhaust()
		require.NoError(t, server.Close())
		giveBack(1)
		c2 := dial(t, rt, l)
		for {
			server, err = l.Accept()
			require.NoError(t, err)
			if server.RemoteAddr().String() == c2.LocalAddr().String() {
				break
			}
			require.NoError(t, server.Close()) // a dial that had no descriptor left it
		}
		roundTrip(t, c2, server)
		require.NoError(t, server.Close())
	})
}

// lockedThreadsEnd runs goroutines that end with their threads locked, so that
// Go ends the threads too, after each has done f.
func lockedThreadsEnd(n int, f func()) {
	for range n {
		done := make(chan struct{})
		go func() {
			defer close(done)
			goruntime.LockOSThread()
			f()
		}()
		<-done
	}
}

// The kernel cancels what a thread has submitted when the thread ends, and Go
// ends a thread whose locked goroutine returns; the driver may have run on it.
// Nothing that waits may notice.
func TestThreadsThatEnd(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(map[int]string{1: "one processor", 2: "two processors"}[procs], func(t *testing.T) {
			defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(procs))
			forEach(t, func(t *testing.T, rt *proactor.Runtime) {
				if plain(t) || strings.HasSuffix(t.Name(), "/tiny") {
					threadsThatEnd(t, rt)
				}
			})
		})
	}
}

func threadsThatEnd(t *testing.T, rt *proactor.Runtime) {
	// Reads that wait.
	type ends struct{ c1, c2 stream }
	var pairs []ends
	var echoes []<-chan result
	for range 4 {
		for _, network := range []string{"tcp4", "unix"} {
			c1, c2 := connect(t, rt, network)
			pairs = append(pairs, ends{c1, c2})
			echoes = append(echoes, start(func() (int, error) {
				n, err := io.Copy(c2, c2)
				return int(n), err
			}))
		}
	}
	// An Accept that waits.
	l := listen(t, rt, "tcp4")
	accepted := make(chan stdnet.Conn, 1)
	accept := start(func() (int, error) {
		for {
			c, err := l.Accept()
			if err != nil {
				return 0, err
			}
			accepted <- c
		}
	})
	// A dial that waits.
	addr, makeRoom := fullBacklog(t, "tcp4")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dialed := start(func() (int, error) {
		return 0, closing(ours(rt).dial(ctx, stdnet.Dialer{}, "tcp4", addr))
	})
	// A Write that waits.
	w1, w2 := connect(t, rt, "tcp4")
	data := bytesOf(8, 16<<20)
	write := start(func() (int, error) { return w1.Write(data) })
	rest := newPattern(8)
	size := len(data)

	l1, l2 := connect(t, rt, "tcp4")
	for round := range pick(15, 8) {
		lockedThreadsEnd(2, func() {})
		// Who reads may drive the ring, and submit what others wait for.
		lockedThreadsEnd(2, func() {
			answer := start(func() (int, error) {
				time.Sleep(100 * time.Microsecond)
				return l2.Write([]byte("x"))
			})
			if n, err := l1.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Errorf("Read: %d, %v", n, err)
			}
			if r := <-answer; r.err != nil {
				t.Error(r.err)
			}
		})
		for i, p := range pairs {
			if i%2 == round%2 {
				continue // its Read goes on waiting
			}
			sent := []byte{byte(i), byte(round)}
			_, err := p.c1.Write(sent)
			require.NoError(t, err)
			got := make([]byte, 2)
			_, err = io.ReadFull(p.c1, got)
			require.NoError(t, err, "round %d", round)
			require.Equal(t, sent, got)
		}
		rest.readAll(t, w2, 10_000, 10_000)
		size -= 10_000
		c := dial(t, rt, l)
		server := <-accepted
		roundTrip(t, c, server)
		require.NoError(t, server.Close())
		require.NoError(t, c.Close())
	}
	select {
	case r := <-dialed:
		t.Fatalf("a dial that nobody answers has ended: %v", r.err)
	default:
	}
	if plain(t) && rt.HasRing() && goruntime.GOMAXPROCS(0) == 1 {
		makeRoom()
		require.NoError(t, (<-dialed).err) // when TCP tries again, after a second
	} else {
		cancel()
		require.ErrorIs(t, (<-dialed).err, context.Canceled)
	}
	rest.readAll(t, w2, size, 1<<20)
	require.NoError(t, (<-write).err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, (<-accept).err, net.ErrClosed)
	for i, p := range pairs {
		require.NoError(t, p.c1.Close())
		require.NoError(t, (<-echoes[i]).err)
	}
}
