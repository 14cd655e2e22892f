package poll_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// faulty starts a runtime on the kernel's ring with faults around it.
func faulty(t *testing.T, seed uint64, faults faultring.Faults) *proactor.Runtime {
	t.Helper()
	cfg := proactor.Config{SQEntries: 2, CQEntries: 4}
	rt, err := proactor.NewWith(cfg, func(cfg driver.Config) (driver.Ring, error) {
		ring, err := driver.OpenRing(cfg)
		if err != nil {
			return nil, err
		}
		return faultring.Wrap(ring, seed, faults), nil
	})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		testkit.Skip(t, "no ring here: %v", err)
	}
	require.NoError(t, err)
	return rt
}

// octet is the byte at a position of a stream.
func octet(pos int) byte { return byte(pos*7 + pos>>8) }

// Streams arrive in order and whole over a ring that fails, with deadlines that
// pass during operations and are set anew, until a Close in the middle ends
// them.
func TestStreamsOverFaults(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		rt := faulty(t, seed, faultring.Draw(rng))
		var wg sync.WaitGroup
		for range 1 + rng.IntN(4) {
			p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			// Little room, so that sends have to wait.
			require.NoError(t, syscall.SetsockoptInt(p[0], syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096))
			a, b := poll.New(rt, p[0]), poll.New(rt, p[1])
			total, cut := 20_000+rng.IntN(200_000), rng.IntN(3) == 0
			sends, receives := rng.Uint64(), rng.Uint64()
			wg.Go(func() { send(t, a, total, cut, rand.New(rand.NewPCG(sends, 0))) })
			wg.Go(func() { receive(t, b, total, cut, rand.New(rand.NewPCG(receives, 0))) })
			if cut {
				wg.Go(func() {
					time.Sleep(time.Duration(sends % uint64(5*time.Millisecond)))
					if err := b.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				})
			}
		}
		wg.Wait()
		require.NoError(t, rt.Close())
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, rt.Stats().Stale)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// soon sets a deadline that passes soon, or none.
func soon(rng *rand.Rand, set func(time.Time) error) {
	when := time.Time{}
	if rng.IntN(3) == 0 {
		when = time.Now().Add(time.Duration(rng.IntN(int(500 * time.Microsecond))))
	}
	_ = set(when)
}

func send(t *testing.T, fd *poll.FD, total int, cut bool, rng *rand.Rand) {
	defer fd.Close()
	for pos := 0; pos < total; {
		soon(rng, fd.SetWriteDeadline)
		b := make([]byte, min(1+rng.IntN(9000), total-pos))
		for i := range b {
			b[i] = octet(pos + i)
		}
		n, err := fd.Send(b)
		for i := range b {
			b[i] = 0xEE
		}
		pos += n
		switch {
		case err == nil && n == len(b), errors.Is(err, os.ErrDeadlineExceeded):
		case cut && errors.Is(err, syscall.EPIPE):
			return
		default:
			t.Errorf("send: %d of %d bytes, %v", n, len(b), err)
			return
		}
	}
}

func receive(t *testing.T, fd *poll.FD, total int, cut bool, rng *rand.Rand) {
	if !cut {
		defer fd.Close()
	}
	for pos := 0; ; {
		soon(rng, fd.SetReadDeadline)
		b := make([]byte, 1+rng.IntN(9000))
		n, err := fd.Recv(b)
		for i := range b[:n] {
			if b[i] != octet(pos+i) {
				t.Errorf("byte %d is %#x instead of %#x", pos+i, b[i], octet(pos+i))
				return
			}
		}
		pos += n
		switch {
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, io.EOF):
			if pos != total {
				t.Errorf("%d of %d bytes received", pos, total)
			}
			return
		case cut && errors.Is(err, net.ErrClosed):
			return
		default:
			t.Errorf("receive: %v", err)
			return
		}
	}
}

// Accepts whose deadlines pass all the time lose no connection.
func TestAcceptsOverFaults(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 3))
		rt := faulty(t, seed, faultring.Draw(rng))
		lfd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, syscall.Bind(lfd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		require.NoError(t, syscall.Listen(lfd, 128))
		sa, err := syscall.Getsockname(lfd)
		require.NoError(t, err)
		shared := rng.IntN(2) == 0
		require.NoError(t, syscall.SetNonblock(lfd, !shared || rng.IntN(2) == 0))
		listening := poll.NewAcceptor(rt, lfd, shared)
		const connections = 30
		var dials sync.WaitGroup
		pauses := rng.Uint64()
		dials.Go(func() {
			rng := rand.New(rand.NewPCG(pauses, 0))
			for range connections {
				fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
				if err == nil {
					err = errors.Join(syscall.Connect(fd, sa), syscall.Close(fd))
				}
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(rng.IntN(int(200 * time.Microsecond))))
			}
		})
		for accepted := 0; accepted < connections; {
			soon(rng, listening.SetReadDeadline)
			fd, _, err := listening.Accept()
			switch {
			case err == nil:
				accepted++
				require.NoError(t, syscall.Close(fd))
			case errors.Is(err, os.ErrDeadlineExceeded):
			default:
				t.Fatalf("seed %d: accept: %v", seed, err)
			}
		}
		dials.Wait()
		require.NoError(t, listening.Close())
		require.NoError(t, rt.Close())
	}
}
