package poll

import (
	"context"
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
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// directRing is the kernel's ring on a network that needs no copy, for all that
// its notices say; the loopback, which is all that there is, copies. It can keep
// notices back, as a network with some delay does.
type directRing struct {
	driver.Ring
	copies atomic.Bool // leave the notices as they are
	hold   atomic.Bool

	mu   sync.Mutex // Ready is asked from anywhere
	held []uring.CQE
}

func (r *directRing) Reap(dst []uring.CQE) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	if !r.hold.Load() {
		n = copy(dst, r.held)
		r.held = r.held[n:]
	}
	kept := n
	for _, c := range dst[n : n+r.Ring.Reap(dst[n:])] {
		if c.Flags&uring.IORING_CQE_F_NOTIF != 0 {
			if !r.copies.Load() {
				c.Res = 0
			}
			if r.hold.Load() {
				r.held = append(r.held, c)
				continue
			}
		}
		dst[kept] = c
		kept++
	}
	return kept
}

func (r *directRing) Ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Ring.Ready() || len(r.held) > 0 && !r.hold.Load()
}

// letGo delivers the notices that were kept back.
func (r *directRing) letGo(t testing.TB, rt *proactor.Runtime) {
	r.hold.Store(false)
	// Whoever sleeps in the kernel looks at the ring for this.
	_, err := proactor.Do(context.Background(), rt, proactor.Nop{})
	require.NoError(t, err)
}

// direct starts a runtime of one shard on a directRing.
func direct(t testing.TB) (*proactor.Runtime, *directRing) {
	t.Helper()
	testkit.NeedKernel(t, 6, 2, "SEND_ZC with a report")
	testkit.Watchdog(t, time.Minute)
	var ring *directRing
	rt, err := proactor.NewWith(proactor.Config{SQEntries: 4, CQEntries: 8}, func(cfg driver.Config) (driver.Ring, error) {
		inner, err := driver.OpenRing(cfg)
		if err != nil {
			return nil, err
		}
		ring = &directRing{Ring: inner}
		return ring, nil
	})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		testkit.Skip(t, "no ring here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, rt.Close())
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, rt.Stats().Stale)
	})
	return rt, ring
}

// zeroPair is a TCP connection whose Send does not copy from bytes and more.
func zeroPair(t testing.TB, rt *proactor.Runtime, from int) (*FD, *peer) {
	t.Helper()
	fd, p := pair(t, rt, true)
	require.NoError(t, fd.SetZeroCopy(from))
	return fd, p
}

// narrow makes a connection on which the kernel takes much more than the peer,
// who does not read, acknowledges.
func narrow(t testing.TB, fd *FD, p *peer) {
	t.Helper()
	require.NoError(t, syscall.SetsockoptInt(p.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10))
	require.NoError(t, syscall.SetsockoptInt(fd.sysfd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1<<20))
}

// The memory is the caller's when Send returns: what is written there then does
// not arrive.
func TestSendWithoutCopyGivesMemoryBack(t *testing.T) {
	rt, _ := direct(t)
	fd, p := zeroPair(t, rt, 10_000)
	const size, rounds = 50_000, 40
	done := start(func() error {
		for i := range rounds {
			b := chunk(i*size, size)
			if n, err := fd.Send(b); n != size || err != nil {
				return err
			}
			clear(b)
		}
		_, err := fd.Send(chunk(rounds*size, 9_999))
		return err
	})
	readStream(t, p, 0, rounds*size+9_999)
	require.NoError(t, <-done)
	s := rt.Stats()
	require.EqualValues(t, rounds, s.ZeroCopy, "all but the last, which is too small")
	require.Zero(t, s.ZeroCopyCopied)
	require.Zero(t, s.ZeroCopyOff)
	require.Zero(t, s.EndedFailed)
}

// Where the kernel copies, a connection tries once, and after some connections
// the runtime does only now and then.
func TestSendWithoutCopyStopsWhereItIsCopied(t *testing.T) {
	testkit.NeedKernel(t, 6, 2, "SEND_ZC with a report")
	rt := open(t, proactor.Config{})
	for i := range 100 {
		fd, p := zeroPair(t, rt, 8)
		for j := range 3 {
			send(t, fd, chunk(8*j, 8))
		}
		readStream(t, p, 0, 24)
		require.NoError(t, fd.Close())
		p.close()
		// The first eight, and of the others each 64th.
		want := min(i+1, 8) + max(i+1-8, 0)/64
		require.EqualValues(t, want, rt.Stats().ZeroCopy)
		require.EqualValues(t, want, rt.Stats().ZeroCopyCopied)
		require.EqualValues(t, want, rt.Stats().ZeroCopyOff)
	}
	require.Zero(t, rt.Stats().EndedFailed, "a notice is no failure")
}

// One connection on which it works makes the runtime go on trying.
func TestSendWithoutCopyIsTriedWhereItWorks(t *testing.T) {
	rt, ring := direct(t)
	for i := range 40 {
		ring.copies.Store(i%8 != 0)
		fd, p := zeroPair(t, rt, 8)
		send(t, fd, chunk(0, 8))
		readStream(t, p, 0, 8)
		require.NoError(t, fd.Close())
		p.close()
	}
	require.EqualValues(t, 40, rt.Stats().ZeroCopy)
}

// A Unix socket cannot; that says nothing about the runtime's other connections.
func TestSendWithoutCopyOnUnixSocketsCopies(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for i := range 10 {
			fd, p := pair(t, rt, false)
			require.NoError(t, fd.SetZeroCopy(1))
			send(t, fd, chunk(0, 5000))
			released := 0
			n, err := fd.SendLent(chunk(5000, 6000), func() { released++ })
			require.NoError(t, err)
			require.Equal(t, 6000, n)
			require.Equal(t, 1, released)
			readStream(t, p, 0, 11_000)
			require.EqualValues(t, i+1, rt.Stats().ZeroCopyOff)
		}
		require.Zero(t, rt.Stats().ZeroCopy)
		fd, p := zeroPair(t, rt, 1)
		send(t, fd, chunk(0, 8))
		readStream(t, p, 0, 8)
		require.EqualValues(t, 1, rt.Stats().ZeroCopy)
	})
}

// A Send that waits for a peer who does not acknowledge ends at its deadline and
// by Close. The memory is back then, for which the connection had to be reset.
func TestSendWithoutCopyEndsWithoutAcknowledgement(t *testing.T) {
	ends := map[string]struct {
		do   func(t *testing.T, fd *FD)
		want error
	}{
		"deadline": {func(t *testing.T, fd *FD) {
			require.NoError(t, fd.SetWriteDeadline(time.Now().Add(30*time.Millisecond)))
		}, os.ErrDeadlineExceeded},
		"past deadline": {func(t *testing.T, fd *FD) { require.NoError(t, fd.SetWriteDeadline(time.Unix(1, 0))) }, os.ErrDeadlineExceeded},
		"close":         {func(t *testing.T, fd *FD) { require.NoError(t, fd.Close()) }, net.ErrClosed},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			rt, _ := direct(t)
			fd, p := zeroPair(t, rt, 1)
			narrow(t, fd, p)
			b := chunk(0, 200_000)
			done := make(chan result, 1)
			go func() {
				n, err := fd.Send(b)
				done <- result{n, err}
			}()
			testkit.Eventually(t, func() bool {
				z := fd.zero.Load()
				return z.wait.Load() == waitsForNotice
			}, "Send does not wait for the notice")
			end.do(t, fd)
			r := <-done
			require.ErrorIs(t, r.err, end.want)
			require.Equal(t, len(b), r.n, "the kernel had taken it")
			require.Zero(t, rt.Stats().InFlight)
			_, err := io.ReadAll(p)
			require.ErrorIs(t, err, syscall.ECONNRESET)
			if name != "close" {
				require.NoError(t, fd.SetWriteDeadline(time.Time{}))
				for _, want := range []error{syscall.ECONNRESET, syscall.EPIPE} {
					_, err := fd.Send(b)
					require.ErrorIs(t, err, want)
				}
			}
		})
	}
}

// A deadline that passes while the kernel takes nothing, because nothing was
// sent without a copy, leaves the connection as it is.
func TestSendWithoutCopyTimesOutBeforeItIsTaken(t *testing.T) {
	rt, _ := direct(t)
	fd, p := pair(t, rt, true)
	shrink(t, fd, p)
	at := fill(t, fd, 0)
	require.NoError(t, fd.SetZeroCopy(1))
	require.NoError(t, fd.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
	n, err := fd.Send(chunk(at, 100))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Zero(t, n)
	require.NoError(t, fd.SetWriteDeadline(time.Time{}))
	done := start(func() error { _, err := fd.Send(chunk(at, 100)); return err })
	readStream(t, p, 0, at+100)
	require.NoError(t, <-done)
}

type result struct {
	n   int
	err error
}

// SendLent returns when the kernel has the data and the notice is outstanding,
// stays in order with Send, and releases each piece once.
func TestSendLentDoesNotWaitForTheNotice(t *testing.T) {
	rt, ring := direct(t)
	fd, p := pair(t, rt, true)
	ring.hold.Store(true)
	const size, rounds = 8_000, 6
	var released [rounds]atomic.Int64
	at := 0
	for i := range rounds {
		n, err := fd.SendLent(chunk(at, size), func() { released[i].Inc() })
		require.NoError(t, err)
		require.Equal(t, size, n)
		send(t, fd, chunk(at+size, 100))
		at += size + 100
	}
	readStream(t, p, 0, at)
	for i := range released {
		require.Zero(t, released[i].Load())
	}
	require.EqualValues(t, rounds, fd.zero.Load().lent.Load())
	ring.letGo(t, rt)
	testkit.Eventually(t, func() bool { return fd.zero.Load().lent.Load() == 0 }, "some are not released")
	testkit.Eventually(t, func() bool {
		for i := range released {
			if released[i].Load() != 1 {
				return false
			}
		}
		return true
	}, "some are not released, or twice")
}

// Release comes once, whatever becomes of the send.
func TestSendLentReleasesAlways(t *testing.T) {
	cases := map[string]func(t *testing.T, rt *proactor.Runtime, ring *directRing, fd *FD, p *peer, lend func(n int) error){
		"nothing": func(t *testing.T, _ *proactor.Runtime, _ *directRing, _ *FD, _ *peer, lend func(int) error) {
			require.NoError(t, lend(0))
		},
		"small": func(t *testing.T, _ *proactor.Runtime, _ *directRing, _ *FD, _ *peer, lend func(int) error) {
			require.NoError(t, lend(MinLent-1))
		},
		"closed before": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, _ *peer, lend func(int) error) {
			require.NoError(t, fd.Close())
			require.ErrorIs(t, lend(MinLent), net.ErrClosed)
		},
		"deadline before": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, _ *peer, lend func(int) error) {
			require.NoError(t, fd.SetWriteDeadline(time.Unix(1, 0)))
			require.ErrorIs(t, lend(MinLent), os.ErrDeadlineExceeded)
		},
		"shut down": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, _ *peer, lend func(int) error) {
			require.NoError(t, fd.CloseWrite())
			require.ErrorIs(t, lend(MinLent), syscall.EPIPE)
		},
		"no room until the deadline": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, p *peer, lend func(int) error) {
			require.NoError(t, fd.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
			require.ErrorIs(t, lend(64<<20), os.ErrDeadlineExceeded)
			p.close() // resets, which gives back what the kernel had taken
		},
		"no room until Close": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, p *peer, lend func(int) error) {
			done := start(func() error { return lend(64 << 20) })
			testkit.Eventually(t, func() bool { return fd.wr.current.Load() != nil }, "nothing is sent")
			require.NoError(t, fd.Close())
			require.ErrorIs(t, <-done, net.ErrClosed)
			p.close()
		},
		"closed while the kernel has it": func(t *testing.T, rt *proactor.Runtime, ring *directRing, fd *FD, p *peer, lend func(int) error) {
			ring.hold.Store(true)
			require.NoError(t, lend(50_000))
			require.NoError(t, fd.Close())
			readStream(t, p, 0, 50_000)
			ring.letGo(t, rt)
		},
		"shut down while the kernel has it": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, p *peer, lend func(int) error) {
			narrow(t, fd, p)
			require.NoError(t, lend(100_000))
			require.NoError(t, fd.CloseWrite())
			readStream(t, p, 0, 100_000)
			_, err := p.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		},
		"reset while the kernel has it": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, p *peer, lend func(int) error) {
			narrow(t, fd, p)
			require.NoError(t, lend(100_000))
			require.EqualValues(t, 1, fd.zero.Load().lent.Load())
			p.close()
		},
		"closed with no linger": func(t *testing.T, _ *proactor.Runtime, _ *directRing, fd *FD, p *peer, lend func(int) error) {
			narrow(t, fd, p)
			require.NoError(t, lend(100_000))
			require.NoError(t, syscall.SetsockoptLinger(fd.sysfd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
			require.NoError(t, fd.Close())
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			rt, ring := direct(t)
			fd, p := pair(t, rt, true)
			var released atomic.Int64
			f(t, rt, ring, fd, p, func(n int) error {
				m, err := fd.SendLent(chunk(0, n), func() { released.Inc() })
				if err == nil && m != n {
					err = io.ErrShortWrite
				}
				return err
			})
			testkit.Eventually(t, func() bool { return released.Load() > 0 }, "not released")
			testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 0 }, "still under way")
			require.EqualValues(t, 1, released.Load())
		})
	}
}

// More sends than the bound are copied, and released at once.
func TestSendLentIsBounded(t *testing.T) {
	rt, ring := direct(t)
	fd, p := pair(t, rt, true)
	ring.hold.Store(true)
	done := make(chan struct{})
	const rounds = MaxLent + 10
	go func() {
		defer close(done)
		readStream(t, p, 0, rounds*MinLent)
	}()
	var released atomic.Int64
	for i := range rounds {
		_, err := fd.SendLent(chunk(i*MinLent, MinLent), func() { released.Inc() })
		require.NoError(t, err)
		require.EqualValues(t, max(0, i+1-MaxLent), released.Load())
	}
	<-done
	ring.letGo(t, rt)
	testkit.Eventually(t, func() bool { return released.Load() == rounds }, "not all are released")
}

// Several pieces go without copying, too, more of them than one message can have.
func TestSendBuffersWithoutCopy(t *testing.T) {
	rt, _ := direct(t)
	fd, p := zeroPair(t, rt, 20_000)
	const pieces, size = 2_500, 40
	var v [][]byte
	for i := range pieces {
		v = append(v, chunk(i*size, size), nil)
	}
	all := v
	done := start(func() error {
		n, err := fd.SendBuffers(&v)
		for _, b := range all {
			clear(b)
		}
		if err == nil && n != pieces*size {
			err = io.ErrShortWrite
		}
		return err
	})
	readStream(t, p, 0, pieces*size)
	require.NoError(t, <-done)
	require.Empty(t, v)
	// Each message of 1024 pieces, half of them empty, is large enough; the last
	// is not.
	require.EqualValues(t, 4, rt.Stats().ZeroCopy)

	require.NoError(t, fd.Close())
	v = [][]byte{make([]byte, 30_000)}
	_, err := fd.SendBuffers(&v)
	require.ErrorIs(t, err, net.ErrClosed)
}

// What was written behind is sent before.
func TestSendWithoutCopyAfterSendsBehind(t *testing.T) {
	rt, _ := direct(t)
	fd, p := zeroPair(t, rt, 5_000)
	require.NoError(t, fd.SetBehind(true))
	leave := gathering(t, fd)
	send(t, fd, chunk(0, 100))
	done := start(func() error {
		if _, err := fd.Send(chunk(100, 6_000)); err != nil {
			return err
		}
		_, err := fd.SendLent(chunk(6_100, 7_000), nil)
		return err
	})
	p.nothing(t)
	leave()
	readStream(t, p, 0, 13_100)
	require.NoError(t, <-done)
	testkit.Eventually(t, func() bool { return rt.Stats().ZeroCopy == 2 }, "no notices")
}

// Whole streams arrive over a ring that fails, from writers that use all ways of
// sending, and write to their memory as soon as it is theirs.
func TestSendWithoutCopyOverFaults(t *testing.T) {
	testkit.NeedKernel(t, 6, 2, "SEND_ZC with a report")
	testkit.Watchdog(t, time.Minute)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		faults := faultring.Draw(rng)
		rt, err := proactor.NewWith(proactor.Config{SQEntries: 2, CQEntries: 4}, func(cfg driver.Config) (driver.Ring, error) {
			inner, err := driver.OpenRing(cfg)
			if err != nil {
				return nil, err
			}
			return faultring.Wrap(&directRing{Ring: inner}, seed, faults), nil
		})
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
			testkit.Skip(t, "no ring here: %v", err)
		}
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 1 + rng.IntN(4) {
			fds := tcpPair(t)
			fd, p := New(rt, fds[0]), &peer{fd: fds[1]}
			require.NoError(t, fd.SetZeroCopy(1+rng.IntN(5000)))
			require.NoError(t, fd.SetBehind(rng.IntN(2) == 0))
			total, local := 100_000+rng.IntN(400_000), rand.New(rand.NewPCG(rng.Uint64(), 0))
			wg.Go(func() {
				if err := sendAnyway(fd, total, local); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if err := fd.Close(); err != nil {
					t.Errorf("seed %d: close: %v", seed, err)
				}
			})
			wg.Go(func() {
				defer p.close()
				b, err := io.ReadAll(p)
				if err != nil || len(b) != total || string(b) != string(chunk(0, total)) {
					t.Errorf("seed %d: %d bytes of %d, or wrong ones: %v", seed, len(b), total, err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, rt.Close())
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, rt.Stats().Stale)
		if t.Failed() {
			return
		}
	}
}

// sendAnyway sends the stream in all ways there are. Each release is awaited.
func sendAnyway(fd *FD, total int, rng *rand.Rand) error {
	var lent sync.WaitGroup
	defer lent.Wait()
	for at := 0; at < total; {
		b := chunk(at, min(1+rng.IntN(30_000), total-at))
		var n int
		var err error
		switch rng.IntN(3) {
		case 0:
			n, err = fd.Send(b)
			clear(b)
		case 1:
			cut := rng.IntN(len(b) + 1)
			v := [][]byte{b[:cut], b[cut:]}
			var m int64
			m, err = fd.SendBuffers(&v)
			n = int(m)
			clear(b)
		default:
			lent.Add(1)
			n, err = fd.SendLent(b, func() {
				clear(b)
				lent.Done()
			})
		}
		at += n
		if err != nil {
			return err
		}
	}
	return nil
}
