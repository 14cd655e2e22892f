package poll

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// behindPair is pair with sends behind.
func behindPair(t testing.TB, rt *proactor.Runtime, tcp bool) (*FD, *peer) {
	t.Helper()
	fd, p := pair(t, rt, tcp)
	require.NoError(t, fd.SetBehind(true))
	return fd, p
}

// send sends all and expects that to work.
func send(t testing.TB, fd *FD, b []byte) {
	t.Helper()
	n, err := fd.Send(b)
	require.NoError(t, err)
	require.Equal(t, len(b), n)
}

// With nobody gathering there is nothing to wait for: it has been sent when
// Send returns.
func TestAloneSendsInline(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := behindPair(t, rt, false)
		send(t, fd, chunk(0, 100))
		require.Zero(t, rt.Stats().Behind)
		require.Zero(t, rt.Stats().Submitted)
		readStream(t, p, 0, 100)
	})
}

// What is queued while somebody drives the ring is sent when he goes on, with
// no help from anybody: together if the kernel has not got the first part yet.
func TestGathererSendsBeforeLeaving(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := behindPair(t, rt, false)
		for range 100 {
			leave := gathering(t, fd)
			before := rt.Stats()
			at := 0
			for _, n := range []int{8, 1, 700, 0, 300, 5000, 1, 9000, 40} {
				send(t, fd, chunk(at, n))
				at += n
			}
			p.nothing(t)
			require.False(t, idle(t, fd))
			leave()
			readStream(t, p, 0, at)
			testkit.Eventually(t, func() bool { return idle(t, fd) }, "the last send has not ended")
			after := rt.Stats()
			require.EqualValues(t, 9, after.Behind-before.Behind)
			require.EqualValues(t, 2, after.Submitted-before.Submitted, "one send for each buffer")
			require.Zero(t, after.InlineTried-before.InlineTried)
		}
	})
}

// A leader that sleeps in the kernel, a loop that is borrowed from him, and a
// leader that leaves all see what a completion submits.
func TestBufferAfterBufferIsSent(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := behindPair(t, rt, false)
		require.NoError(t, syscall.SetsockoptInt(fd.sysfd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10))
		for i := range 30 {
			recv := start(func() error { _, err := fd.Recv(make([]byte, 1)); return err })
			if i%2 == 0 {
				testkit.Eventually(t, func() bool { return rt.Stats().InFlight > 0 }, "no receive")
			}
			leave := gathering(t, fd)
			send(t, fd, chunk(0, 1000))
			send(t, fd, chunk(1000, MaxBehind-1000)) // does not fit the kernel's buffer
			leave()
			readStream(t, p, 0, MaxBehind)
			_, err := syscall.Write(p.fd, []byte("x"))
			require.NoError(t, err)
			require.NoError(t, <-recv)
			testkit.Eventually(t, func() bool { return idle(t, fd) }, "the last send has not ended")
		}
	})
}

// Beyond the bound a Send waits, and its deadline ends it without touching
// what was taken before.
func TestBoundAndDeadline(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := behindPair(t, rt, false)
		leave := gathering(t, fd)
		send(t, fd, chunk(0, 10_000))
		require.NoError(t, fd.SetWriteDeadline(time.Now().Add(5*time.Millisecond)))
		n, err := fd.Send(chunk(10_000, MaxBehind-9_999))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, n)
		require.ErrorIs(t, fd.Flush(), os.ErrDeadlineExceeded)

		require.NoError(t, fd.SetWriteDeadline(time.Time{}))
		waiting := start(func() error { _, err := fd.Send(chunk(10_000, MaxBehind)); return err })
		time.Sleep(time.Millisecond)
		require.NoError(t, fd.SetWriteDeadline(time.Unix(1, 0)))
		require.ErrorIs(t, <-waiting, os.ErrDeadlineExceeded)

		require.NoError(t, fd.SetWriteDeadline(time.Time{}))
		send(t, fd, chunk(10_000, MaxBehind-10_000)) // just fits
		waiting = start(func() error { _, err := fd.Send(chunk(MaxBehind, 100_000)); return err })
		time.Sleep(time.Millisecond)
		leave()
		readStream(t, p, 0, MaxBehind+100_000)
		require.NoError(t, <-waiting)
		require.NoError(t, fd.Flush())
		require.True(t, idle(t, fd))
	})
}

// Random sizes, small and large, from several goroutines in turn, to a peer
// that reads now and then, with and without gatherers: bytes stay in order.
func TestOrder(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, tcp := range []bool{false, true} {
			fd, p := behindPair(t, rt, tcp)
			shrink(t, fd, p)
			total := 1 << 20
			if tcp {
				total = 1 << 17 // a small window that has been closed opens slowly
			}
			var mu sync.Mutex
			at := 0
			var writers []<-chan error
			for range 3 {
				writers = append(writers, start(func() error {
					for {
						mu.Lock()
						n := rand.IntN(200)
						switch rand.IntN(20) {
						case 0:
							n = rand.IntN(40_000)
						case 1, 2:
							n = rand.IntN(3000)
						}
						n = min(n, total-at)
						_, err := fd.Send(chunk(at, n))
						at += n
						done := at == total
						if err == nil && rand.IntN(50) == 0 {
							err = errors.Join(fd.Flush(), fd.SetBehind(rand.IntN(4) > 0))
						}
						mu.Unlock()
						if done || err != nil {
							return err
						}
					}
				}))
			}
			// Somebody else keeps the ring busy.
			stop := make(chan struct{})
			busy := start(func() error {
				g := newRequest()
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					g.SQE.PrepNop()
					if err := fd.driver.Enqueue(context.Background(), &g.Op); err != nil {
						return err
					}
					g.await(fd.driver)
				}
			})
			for got := 0; got < total; {
				n := min(1+rand.IntN(20_000), total-got)
				readStream(t, p, got, n)
				got += n
				if rand.IntN(10) == 0 {
					jitter(200 * time.Microsecond)
				}
			}
			for _, w := range writers {
				require.NoError(t, <-w)
			}
			close(stop)
			require.NoError(t, <-busy)
			testkit.Eventually(t, func() bool { return idle(t, fd) }, "the last send has not ended")
		}
		require.NotZero(t, rt.Stats().Behind)
	})
}

// A failure is told once, by the next call, and the connection stays broken:
// what follows a hole must not be sent.
func TestFailureIsReported(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, ask := range map[string]func(*FD) error{
			"send":        func(fd *FD) error { _, err := fd.Send([]byte("y")); return err },
			"flush":       (*FD).Flush,
			"close write": (*FD).CloseWrite,
		} {
			t.Run(name, func(t *testing.T) {
				fd, p := behindPair(t, rt, false)
				leave := gathering(t, fd)
				send(t, fd, []byte("x"))
				p.close()
				leave()
				testkit.Eventually(t, func() bool { return idle(t, fd) }, "the send has not failed")
				require.Equal(t, syscall.EPIPE, ask(fd))
				leave = gathering(t, fd)
				n, err := fd.Send([]byte("z"))
				require.Equal(t, syscall.EPIPE, err)
				require.Zero(t, n)
				leave()
				require.NoError(t, fd.Close(), "Close does not report")
			})
		}
	})
	// A reset is reported as such, then as a broken pipe, as by the kernel.
	rt := open(t, proactor.Config{})
	fd, p := behindPair(t, rt, true)
	leave := gathering(t, fd)
	send(t, fd, []byte("x"))
	require.NoError(t, syscall.SetsockoptLinger(p.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	p.close()
	leave()
	testkit.Eventually(t, func() bool { return idle(t, fd) }, "the send has not failed")
	require.Equal(t, syscall.ECONNRESET, fd.Flush())
	require.Equal(t, syscall.EPIPE, fd.Flush())
}

// A waiting Send is ended by a failure of what is before it.
func TestFailureEndsWaitingSend(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := behindPair(t, rt, false)
		sum := fill(t, fd, 0)
		leave := gathering(t, fd)
		send(t, fd, chunk(sum, 100))
		waiting := start(func() error { _, err := fd.Send(make([]byte, MaxBehind)); return err })
		leave()
		jitter(time.Millisecond)
		p.close()
		require.Equal(t, syscall.EPIPE, <-waiting)
	})
}

// gone waits until a descriptor is closed.
func gone(t testing.TB, sysfd int) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		_, err := syscall.Getsockname(sysfd)
		return err == syscall.EBADF
	}, "descriptor %d is still open", sysfd)
}

// Close and CloseWrite send what is left, before they return if there is room.
func TestCloseFlushes(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 50 {
			fd, p := behindPair(t, rt, false)
			leave := gathering(t, fd)
			send(t, fd, chunk(0, 5000))
			send(t, fd, chunk(5000, 5000))
			half := rand.IntN(2) == 0
			closed := start(func() error {
				if half {
					if err := fd.CloseWrite(); err != nil {
						return err
					}
					if _, err := fd.Send([]byte("x")); err != syscall.EPIPE {
						return errors.New("a Send after CloseWrite")
					}
					return nil
				}
				return fd.Close()
			})
			jitter(100 * time.Microsecond)
			leave()
			require.NoError(t, <-closed)
			// It is there already: nothing is left to do in the background.
			b := make([]byte, 20_000)
			n, _, err := syscall.Recvfrom(p.fd, b, syscall.MSG_DONTWAIT)
			for more := 0; err == nil && n < 10_000; n += more {
				more, _, err = syscall.Recvfrom(p.fd, b[n:], syscall.MSG_DONTWAIT)
			}
			require.NoError(t, err)
			require.Equal(t, chunk(0, 10_000), b[:n])
			_, err = p.Read(b)
			require.Equal(t, io.EOF, err)
			if half {
				_, err = syscall.Write(p.fd, []byte("answer"))
				require.NoError(t, err)
				n, err = fd.Recv(b)
				require.NoError(t, err)
				require.Equal(t, "answer", string(b[:n]))
			}
		}
	})
}

// With a peer that does not read, neither waits for it, and what is left is
// sent in the background when it does.
func TestCloseInTheBackground(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, half := range []bool{false, true} {
			fd, p := behindPair(t, rt, true)
			shrink(t, fd, p)
			sum := fill(t, fd, 0)
			leave := gathering(t, fd)
			send(t, fd, chunk(sum, 100))
			leave()
			blocked := start(func() error { _, err := fd.Send(make([]byte, MaxBehind)); return err })
			time.Sleep(time.Millisecond)
			begun := time.Now()
			if half {
				require.NoError(t, fd.CloseWrite())
			} else {
				require.NoError(t, fd.Close())
				require.ErrorIs(t, <-blocked, net.ErrClosed)
			}
			require.Less(t, time.Since(begun), Linger/2)
			time.Sleep(5 * time.Millisecond)
			readStream(t, p, 0, sum+100)
			_, err := p.readWithin(make([]byte, 1), 20*time.Second)
			require.Equal(t, io.EOF, err)
			if half {
				require.Equal(t, syscall.EPIPE, <-blocked)
			} else {
				gone(t, fd.sysfd)
			}
		}
	})
}

// A peer that never reads is given up after a while, and learns that it has
// not got everything.
func TestLingerEnds(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, tt := range map[string]struct {
			seconds    int // of SO_LINGER, negative for off
			least, max time.Duration
		}{
			"default": {-1, 0, time.Second},
			"zero":    {0, 0, time.Second},
			"one":     {1, time.Second, 10 * time.Second},
		} {
			t.Run(name, func(t *testing.T) {
				fd, p := behindPair(t, rt, true)
				fd.behind.Load().linger = 20 * time.Millisecond
				shrink(t, fd, p)
				sum := fill(t, fd, 0)
				if tt.seconds >= 0 {
					require.NoError(t, syscall.SetsockoptLinger(fd.sysfd, syscall.SOL_SOCKET, syscall.SO_LINGER,
						&syscall.Linger{Onoff: 1, Linger: int32(tt.seconds)}))
				}
				leave := gathering(t, fd)
				send(t, fd, chunk(sum, 100))
				leave()
				begun := time.Now()
				require.NoError(t, fd.Close())
				require.GreaterOrEqual(t, time.Since(begun), tt.least)
				require.Less(t, time.Since(begun), tt.max)
				gone(t, fd.sysfd)
				_, err := io.Copy(io.Discard, p)
				require.Equal(t, syscall.ECONNRESET, err)
			})
		}
		// With time left and a peer that reads, all arrives.
		fd, p := behindPair(t, rt, true)
		shrink(t, fd, p)
		sum := fill(t, fd, 0)
		require.NoError(t, syscall.SetsockoptLinger(fd.sysfd, syscall.SOL_SOCKET, syscall.SO_LINGER,
			&syscall.Linger{Onoff: 1, Linger: 20}))
		leave := gathering(t, fd)
		send(t, fd, chunk(sum, 100))
		leave()
		closed := start(fd.Close)
		time.Sleep(5 * time.Millisecond)
		readStream(t, p, 0, sum+100)
		_, err := p.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.NoError(t, <-closed)
	})
}

// A runtime that is shut down sends what is left, within the bounds of its
// context, also that of sockets which are closed by then.
func TestShutdownFlushes(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		for _, closed := range []bool{false, true} {
			rt := open(t, proactor.Config{})
			fd, p := behindPair(t, rt, true)
			shrink(t, fd, p)
			sum := fill(t, fd, 0)
			recv := start(func() error {
				if closed {
					return proactor.ErrClosed
				}
				_, err := fd.Recv(make([]byte, 1))
				return err
			})
			leave := gathering(t, fd)
			send(t, fd, chunk(sum, 1000))
			leave()
			if closed {
				require.NoError(t, fd.Close())
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if stuck {
				ctx, cancel = context.WithTimeout(context.Background(), 10*time.Millisecond)
			}
			down := start(func() error { return rt.Shutdown(ctx) })
			if stuck {
				if err := <-down; err != nil { // else the cancellation was as fast
					var left *driver.ShutdownError
					require.ErrorAs(t, err, &left)
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
				require.NoError(t, rt.Close())
				if !closed {
					require.ErrorIs(t, fd.Flush(), proactor.ErrClosed)
					require.ErrorIs(t, fd.Flush(), proactor.ErrClosed, "as often as one asks")
				}
			} else {
				jitter(2 * time.Millisecond)
				readStream(t, p, 0, sum+1000)
				require.NoError(t, <-down)
			}
			require.ErrorIs(t, <-recv, proactor.ErrClosed)
			require.Zero(t, rt.Stats().InFlight)
			cancel()
			_ = fd.Close()
			gone(t, fd.sysfd)
			if stuck {
				_, err := io.Copy(io.Discard, p)
				require.Equal(t, syscall.ECONNRESET, err)
			}
		}
	}
}

// A ring that is full of operations that wait takes the send later.
func TestFullRing(t *testing.T) {
	const allSlots = 1 << 24
	rt := open(t, proactor.Config{MaxInFlight: allSlots - 1}) // room for one that waits
	busy, busyPeer := pair(t, rt, false)
	fd, p := behindPair(t, rt, false)
	recv := start(func() error { _, err := busy.Recv(make([]byte, 1)); return err })
	testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 1 }, "no receive")
	leave := gathering(t, fd)
	send(t, fd, chunk(0, 10))
	send(t, fd, chunk(10, 10_000))
	leave()
	time.Sleep(time.Millisecond)
	p.nothing(t)
	_, err := syscall.Write(busyPeer.fd, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, <-recv)
	readStream(t, p, 0, 10_010)

	// It is given up like any other.
	recv = start(func() error { _, err := busy.Recv(make([]byte, 1)); return err })
	testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 1 && idle(t, fd) }, "no receive")
	leave = gathering(t, fd)
	send(t, fd, chunk(0, 10))
	leave()
	require.NoError(t, rt.Close())
	require.ErrorIs(t, <-recv, proactor.ErrClosed)
	require.ErrorIs(t, fd.Flush(), proactor.ErrClosed)
}

// Question and answer between two ends that both send behind, on one
// processor and a ring with two entries: neither waits for ever, since what was
// written is on its way when its writer waits for the answer.
func TestRequestAndResponse(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, pairs := range []int{1, 20} {
			var running []<-chan error
			for range pairs {
				fds := tcpPair(t)
				client, server := New(rt, fds[0]), New(rt, fds[1])
				for _, fd := range []*FD{client, server} {
					require.NoError(t, fd.SetBehind(true))
				}
				running = append(running,
					start(func() error {
						defer server.Close()
						b := make([]byte, 64)
						for {
							n, err := server.Recv(b)
							if err == io.EOF {
								return nil
							}
							for i := 0; i < n && err == nil; i += 16 { // an answer in parts
								_, err = server.Send(b[i:min(n, i+16)])
							}
							if err != nil {
								return err
							}
						}
					}),
					start(func() error {
						defer client.Close()
						b := make([]byte, 64)
						for i := range 500 {
							if _, err := client.Send(chunk(i*64, 64)); err != nil {
								return err
							}
							for got := 0; got < 64; {
								n, err := client.Recv(b[got:])
								if err != nil {
									return err
								}
								got += n
							}
							if string(b) != string(chunk(i*64, 64)) {
								return errors.New("another answer than was sent")
							}
						}
						return nil
					}))
			}
			for _, r := range running {
				require.NoError(t, <-r)
			}
		}
	})
}

// Everything at once and Close in between: all end, nothing is left.
func TestBehindRaces(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		rounds := 100
		if testing.Short() {
			rounds = 20
		}
		for range rounds {
			fd, p := behindPair(t, rt, rand.IntN(2) == 0)
			fd.behind.Load().linger = time.Duration(rand.Int64N(int64(2 * time.Millisecond)))
			shrink(t, fd, p)
			if rand.IntN(2) == 0 {
				fill(t, fd, 0)
			}
			var running []<-chan error
			for _, f := range []func() error{
				func() error { _, err := fd.Send(make([]byte, rand.IntN(500))); return err },
				func() error { _, err := fd.Send(make([]byte, rand.IntN(30_000))); return err },
				func() error { _, err := fd.Recv(make([]byte, 10)); return err },
				fd.Flush,
				func() error { return fd.SetBehind(rand.IntN(2) == 0) },
				func() error {
					return fd.SetWriteDeadline(time.Now().Add(time.Duration(rand.Int64N(int64(200 * time.Microsecond)))))
				},
				func() error {
					if rand.IntN(20) == 0 {
						return fd.CloseWrite()
					}
					_, err := syscall.Write(p.fd, []byte("x"))
					return err
				},
			} {
				running = append(running, start(func() error {
					for {
						err := f()
						switch {
						case errors.Is(err, net.ErrClosed):
							return nil
						case err == nil, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EPIPE),
							errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ENOTCONN):
						default:
							return err
						}
						if fd.refs.Load()&closingBit != 0 {
							return nil
						}
						runtime.Gosched()
					}
				}))
			}
			jitter(500 * time.Microsecond)
			closed := start(fd.Close)
			if rand.IntN(2) == 0 {
				_, _ = p.readWithin(make([]byte, 100_000), time.Millisecond)
			}
			require.NoError(t, <-closed)
			for _, r := range running {
				require.NoError(t, <-r)
			}
			w := fd.behind.Load()
			testkit.Eventually(t, func() bool { return idle(t, fd) }, "a send is left")
			require.False(t, w.op.Active())
			p.close()
		}
	})
}
