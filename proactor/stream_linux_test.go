package proactor_test

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// stream opens a stream that is closed at the end of the test.
func stream[T any](t testing.TB, rt *proactor.Runtime, source proactor.Multishot[T], depth int) *proactor.Stream[T] {
	t.Helper()
	s, err := proactor.OpenStream(rt, source, proactor.StreamConfig{Depth: depth})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func group(t testing.TB, rt *proactor.Runtime, cfg proactor.BufferConfig) *proactor.BufferGroup {
	t.Helper()
	g, err := rt.Shard(rt.Shards() - 1).NewBufferGroup(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, g.Close())
		require.Zero(t, g.Stats().Leased, "a buffer was not given back")
	})
	return g
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// send writes all of b to a descriptor.
func send(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err != nil && err != syscall.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

func TestStreamOfConnections(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l, addr := listener(t)
		s := stream(t, rt, proactor.Accepts{FD: l}, 2)
		ctx := limited(t)
		for range 20 {
			var clients []int
			for range 5 { // more than the queue holds
				clients = append(clients, dial(t, addr))
			}
			for range clients {
				a, err := s.Next(ctx)
				require.NoError(t, err)
				peer, err := a.Peer()
				require.NoError(t, err)
				require.Contains(t, peer.String(), "127.0.0.1:")
				require.NoError(t, syscall.Close(a.FD))
			}
			for _, c := range clients {
				require.NoError(t, syscall.Close(c))
			}
		}
	})
}

// Connections that nobody takes are closed, those that came before the stream
// was closed and those that come as it is.
func TestStreamOfConnectionsIsClosed(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 10 {
			before := openFiles(t)
			l, addr := listener(t)
			s := stream(t, rt, proactor.Accepts{FD: l}, 4)
			first := dial(t, addr)
			a, err := s.Next(limited(t))
			require.NoError(t, err)
			var clients []int
			var wg sync.WaitGroup
			for range 10 {
				clients = append(clients, dial(t, addr))
			}
			wg.Go(func() { _ = s.Close() })
			require.NoError(t, s.Close())
			wg.Wait()
			_, err = s.Next(t.Context())
			require.ErrorIs(t, err, proactor.ErrStreamClosed)
			for _, fd := range append(clients, first, a.FD) {
				require.NoError(t, syscall.Close(fd))
			}
			require.Equal(t, before+1, openFiles(t)) // the listener
		}
	})
}

// All that is sent arrives, in order and whole, however few buffers there are
// and however slow its consumer is.
func TestStreamOfBytes(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for _, cfg := range []proactor.BufferConfig{
		{}, {Size: 100, Count: 1, Max: 1}, {Size: 1000, Count: 2, Max: 4}, {Size: 4000, Count: 3, Max: 20},
	} {
		forEach(t, func(t *testing.T, rt *proactor.Runtime) {
			g := group(t, rt, cfg)
			ctx := limited(t)
			var wg sync.WaitGroup
			for range 4 {
				a, b := socketpair(t)
				want := make([]byte, 50_000)
				_, _ = rand.Read(want)
				s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)
				wg.Go(func() {
					if err := send(a, want); err != nil {
						t.Error(err)
					}
					_ = syscall.Shutdown(a, syscall.SHUT_WR)
				})
				wg.Go(func() {
					var got []byte
					for l, err := range s.All(ctx) {
						if err != nil {
							t.Error(err)
							return
						}
						data := l.Bytes()
						if cap(data) != len(data) || len(data) != l.Len() {
							t.Errorf("%d bytes with room for %d", len(data), cap(data))
						}
						got = append(got, data...)
						if len(got)%7 == 0 {
							runtime.Gosched()
						}
						if !l.Release() || l.Release() {
							t.Error("a lease is given back once")
						}
					}
					if string(got) != string(want) {
						t.Errorf("got %d bytes, not the %d sent", len(got), len(want))
					}
				})
			}
			wg.Wait()
			require.Zero(t, g.Stats().Leased)
		})
	}
}

func TestStreamOfReads(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 16, Count: 2, Max: 4})
		var p [2]int
		require.NoError(t, syscall.Pipe2(p[:], syscall.O_CLOEXEC))
		fds(t, p[0])
		s := stream(t, rt, proactor.Reads{FD: p[0], Group: g}, 0)
		ctx := limited(t)
		for i := range 50 {
			require.NoError(t, send(p[1], []byte{byte(i)}))
			l, err := s.Next(ctx)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(i)}, l.Bytes())
			require.True(t, l.Release())
		}
		require.NoError(t, syscall.Close(p[1]))
		for range 2 {
			_, err := s.Next(ctx)
			require.Equal(t, io.EOF, err)
		}
	})
}

func TestStreamOfPolls(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, w := pipe(t)
		s := stream(t, rt, proactor.Polls{FD: r, Events: 1}, 0)
		ctx := limited(t)
		for range 20 {
			require.NoError(t, send(w, []byte("x")))
			events, err := s.Next(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 1, events&1)
		}
	})
}

func TestStreamOfTicks(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		start := time.Now()
		n := 0
		s := stream(t, rt, proactor.Ticks{Every: time.Millisecond}, 2)
		for _, err := range s.All(limited(t)) {
			require.NoError(t, err)
			if n++; n == 5 {
				break
			}
			if n == 2 {
				// More ticks than the queue holds stop the timer.
				testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 0 }, "the timer goes on with a full queue")
			}
		}
		require.GreaterOrEqual(t, time.Since(start), 5*time.Millisecond)
		_, err := s.Next(t.Context())
		require.ErrorIs(t, err, proactor.ErrStreamClosed, "leaving the loop closes the stream")
		_, err = proactor.OpenStream(rt, proactor.Ticks{}, proactor.StreamConfig{})
		require.ErrorIs(t, err, os.ErrInvalid)
		_, err = proactor.OpenStream(rt, proactor.Ticks{Every: 1}, proactor.StreamConfig{Depth: -1})
		require.Error(t, err)
	})
}

// A context's end is Next's error, and the stream goes on afterwards.
func TestStreamContext(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Count: 2})
		a, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 0)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := s.Next(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			require.NoError(t, send(a, []byte("x")))
			l, err := s.Next(limited(t))
			require.NoError(t, err)
			require.Equal(t, "x", string(l.Bytes()))
			l.Release()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		errs := 0
		for _, err := range s.All(ctx) {
			require.ErrorIs(t, err, context.Canceled)
			errs++
		}
		require.Equal(t, 1, errs)
	})
}

// Close ends a Next that waits, for an item as well as for buffers.
func TestStreamCloseEndsNext(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 1, Count: 1, Max: 1})
		a, b := socketpair(t)
		for _, starve := range []bool{false, true} {
			var held proactor.Lease
			if starve {
				require.NoError(t, send(a, []byte("xy")))
				s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)
				var err error
				held, err = s.Next(limited(t))
				require.NoError(t, err)
				require.NoError(t, s.Close())
			}
			s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)
			ended := make(chan error)
			go func() {
				for {
					l, err := s.Next(context.Background())
					if err != nil {
						ended <- err
						return
					}
					l.Release()
				}
			}()
			time.Sleep(2 * time.Millisecond)
			require.NoError(t, s.Close())
			require.ErrorIs(t, <-ended, proactor.ErrStreamClosed)
			held.Release()
		}
	})
}

// A Close that comes when an operation is about to be armed finds nothing to
// cancel; the operation must not stay armed.
func TestStreamClosedBeforeItIsArmed(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		source := &slowToPrepare{Polls: proactor.Polls{FD: r, Events: 1}, preparing: make(chan struct{})}
		s := stream(t, rt, source, 0)
		ended := make(chan error)
		go func() {
			_, err := s.Next(context.Background())
			ended <- err
		}()
		<-source.preparing
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, proactor.ErrStreamClosed)
		require.Zero(t, rt.Stats().InFlight)
	})
}

// slowToPrepare takes its time when it is prepared for the second time: the
// first is when the stream is opened.
type slowToPrepare struct {
	proactor.Polls
	calls     int
	preparing chan struct{}
}

func (o *slowToPrepare) Prepare(r *proactor.Request) error {
	if o.calls++; o.calls == 2 {
		close(o.preparing)
		time.Sleep(10 * time.Millisecond)
	}
	return o.Polls.Prepare(r)
}

// Close and the first Next at the same time: whichever comes first, the
// operation is not left armed.
func TestStreamClosedWhileItIsArmed(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		for range 500 {
			s := stream(t, rt, proactor.Polls{FD: r, Events: 1}, 0)
			ended := make(chan error)
			go func() {
				_, err := s.Next(context.Background())
				ended <- err
			}()
			runtime.Gosched()
			require.NoError(t, s.Close())
			require.ErrorIs(t, <-ended, proactor.ErrStreamClosed)
		}
	})
}

// A consumer that is slow keeps neither the ring nor the buffers from others.
func TestSlowConsumerStarvesNobody(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 64, Count: 8, Max: 8})
		ctx := limited(t)
		slow, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 4)
		// One item is taken, so that the operation is armed; then nobody asks.
		require.NoError(t, send(slow, make([]byte, 64)))
		first, err := s.Next(ctx)
		require.NoError(t, err)
		require.NoError(t, send(slow, make([]byte, 64*100)))
		testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 0 }, "the operation goes on with a full queue")

		a, b := socketpair(t)
		quick := stream(t, rt, proactor.Receives{FD: b, Group: g}, 4)
		for i := range 200 {
			require.NoError(t, send(a, []byte{byte(i)}))
			l, err := quick.Next(ctx)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(i)}, l.Bytes())
			l.Release()
		}
		first.Release()
		// Nothing of what waited is lost.
		for n := 64; n < 64*101; {
			l, err := s.Next(ctx)
			require.NoError(t, err)
			n += l.Len()
			l.Release()
		}
	})
}

// A group grows when few of its buffers are left, up to its limit; then what
// arrives is copied, and leases that are held keep nobody waiting.
func TestBufferGroupGrows(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 8, Count: 1, Max: 4})
		a, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)
		ctx := limited(t)
		var held []proactor.Lease
		for i := range 10 {
			require.NoError(t, send(a, []byte{byte(i)}))
			l, err := s.Next(ctx)
			require.NoError(t, err)
			held = append(held, l)
		}
		st := g.Stats()
		require.Equal(t, 4, st.Buffers)
		require.Equal(t, 3, st.Leased)
		require.EqualValues(t, 2, st.Grown)
		require.EqualValues(t, 7, st.Copied)
		for i, l := range held {
			require.Equal(t, []byte{byte(i)}, l.Bytes())
			require.Equal(t, 1, cap(l.Bytes()))
			require.True(t, l.Release())
			require.False(t, l.Release())
		}
	})
}

// A burst that takes all buffers at once ends the operation; the rest of it
// waits in the socket.
func TestBufferGroupExhausted(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 8, Count: 2, Max: 2})
		a, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 100)
		want := make([]byte, 8*20)
		_, _ = rand.Read(want)
		require.NoError(t, send(a, want))
		var got []byte
		for len(got) < len(want) {
			l, err := s.Next(limited(t))
			require.NoError(t, err)
			got = append(got, l.Bytes()...)
			l.Release()
		}
		require.Equal(t, want, got)
		require.Positive(t, g.Stats().Exhausted)
	})
}

// Messages of one stream never show up in another's, nor bytes that an earlier
// message has left in its buffer.
func TestBytesOfOthersAreOutOfReach(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 32, Count: 1, Max: 1})
		a, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)
		ctx := limited(t)
		require.NoError(t, send(a, []byte("the secret of somebody else")))
		l, err := s.Next(ctx)
		require.NoError(t, err)
		l.Release()
		require.NoError(t, send(a, []byte("hi")))
		l, err = s.Next(ctx)
		require.NoError(t, err)
		data := l.Bytes()
		require.Equal(t, "hi", string(data))
		require.Equal(t, 2, cap(data))
		require.Panics(t, func() { _ = data[:3] })
		grown := append(data, "!!"...) //nolint:gocritic // must not reach the buffer
		require.NotSame(t, &data[0], &grown[0])
		l.Release()
	})
}

func TestBufferGroupMisuse(t *testing.T) {
	rt := open(t, proactor.Config{})
	for _, cfg := range []proactor.BufferConfig{{Size: -1}, {Count: -1}, {Count: 2, Max: 1}, {Max: 1 << 16}} {
		_, err := rt.Shard(0).NewBufferGroup(cfg)
		require.ErrorContains(t, err, "buffer group", "%+v", cfg)
	}
	g := group(t, rt, proactor.BufferConfig{Count: 2})
	_, b := socketpair(t)
	s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 0)
	require.ErrorContains(t, g.Close(), "1 streams use")
	require.NoError(t, s.Close())
	require.NoError(t, g.Close())
	require.NoError(t, g.Close())
	_, err := proactor.OpenStream(rt, proactor.Receives{FD: b, Group: g}, proactor.StreamConfig{})
	require.ErrorIs(t, err, proactor.ErrClosed)
	require.False(t, proactor.Lease{}.Release())
	require.Nil(t, proactor.Lease{}.Bytes())

	other := open(t, proactor.Config{})
	g = group(t, rt, proactor.BufferConfig{Count: 2})
	_, err = proactor.OpenStream(other, proactor.Receives{FD: b, Group: g}, proactor.StreamConfig{})
	require.ErrorContains(t, err, "another Runtime")
}

// Groups that the program provides and those of this package do not get into each
// other's way, whoever came first.
func TestBufferGroupBesideProvidedBuffers(t *testing.T) {
	rt := open(t, proactor.Config{Extra: proactor.AllOps()})
	provide := func(id uint16) error {
		_, err := proactor.Do(t.Context(), rt, proactor.ProvideBuffers{Group: id, Memory: make([]byte, 64), Size: 64})
		return err
	}
	for _, id := range []uint16{0, 1, 65534, 65535} {
		require.NoError(t, provide(id))
	}
	for range 2 {
		g := group(t, rt, proactor.BufferConfig{Count: 2})
		a, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 0)
		require.NoError(t, send(a, []byte("hello")))
		l, err := s.Next(limited(t))
		require.NoError(t, err)
		require.Equal(t, "hello", string(l.Bytes()))
		l.Release()
	}
	require.NoError(t, provide(2))
	require.ErrorIs(t, provide(65533), syscall.EINVAL)
	for _, id := range []uint16{0, 1, 2, 65534, 65535} {
		n, err := proactor.Do(t.Context(), rt, proactor.RemoveBuffers{Group: id, N: 10})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

// A lease outlives its stream, its group and the runtime.
func TestLeaseOutlivesTheRuntime(t *testing.T) {
	rt := open(t, proactor.Config{})
	g, err := rt.Shard(0).NewBufferGroup(proactor.BufferConfig{Count: 4})
	require.NoError(t, err)
	a, b := socketpair(t)
	s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 0)
	require.NoError(t, send(a, []byte("hello")))
	l, err := s.Next(limited(t))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, g.Close())
	require.NoError(t, rt.Close())
	require.Equal(t, "hello", string(l.Bytes()))
	require.True(t, l.Release())
	require.False(t, l.Release())
	require.EqualValues(t, 1, g.Stats().Doubles)
}

// A stream that nobody holds any more is closed, and what it has is let go of.
func TestForgottenStream(t *testing.T) {
	rt := open(t, proactor.Config{})
	l, addr := listener(t)
	func() {
		s, err := proactor.OpenStream(rt, proactor.Accepts{FD: l}, proactor.StreamConfig{})
		require.NoError(t, err)
		c := dial(t, addr)
		defer syscall.Close(c)
		a, err := s.Next(limited(t))
		require.NoError(t, err)
		require.NoError(t, syscall.Close(a.FD))
		require.EqualValues(t, 1, rt.Stats().InFlight)
	}()
	testkit.Eventually(t, func() bool {
		runtime.GC()
		return rt.Stats().InFlight == 0
	}, "the accept is still armed")
}

// Errors that last end the stream, those that may pass do not.
func TestStreamErrors(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		s := stream(t, rt, proactor.Accepts{FD: r}, 0)
		for range 2 {
			_, err := s.Next(limited(t))
			require.ErrorIs(t, err, syscall.ENOTSOCK)
			require.ErrorContains(t, err, "accept")
		}
		p := stream(t, rt, passing{}, 0)
		n := 0
		for _, err := range p.All(limited(t)) {
			require.ErrorIs(t, err, syscall.EMFILE)
			if n++; n == 3 {
				break
			}
		}
		require.Equal(t, 3, n)
	})
}

// passing fails each time for want of descriptors: it is a NOP with an injected
// result.
type passing struct{}

func (passing) Prepare(r *proactor.Request) error {
	r.SQE.PrepNop()
	r.SQE.OpFlags = uint32(uring.IORING_NOP_INJECT_RESULT)
	emfile := syscall.EMFILE
	r.SQE.Len = uint32(-int32(emfile))
	return nil
}

func (passing) Item(*proactor.Request, driver.Completion) (int, error) { return 0, nil }
func (passing) Discard(int)                                            {}

// The runtime ends while streams wait.
func TestStreamsAndShutdown(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for range 10 {
		rt, err := proactor.New(proactor.Config{Shards: 2})
		require.NoError(t, err)
		if !rt.HasRing() {
			testkit.Skip(t, "no ring here: %v", rt.Backend().Reason)
		}
		g, err := rt.Shard(1).NewBufferGroup(proactor.BufferConfig{Count: 2})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 8 {
			_, b := socketpair(t)
			s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 0)
			wg.Go(func() {
				if _, err := s.Next(context.Background()); err != proactor.ErrClosed {
					t.Errorf("Next: %v", err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		require.NoError(t, rt.Close())
		wg.Wait()
	}
}

// Streams of many connections, opened, used, left and closed in every way at
// once: nothing leaks, nothing is lost, and all of it ends.
func TestManyStreams(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 128, Count: 2, Max: 8})
		ctx := limited(t)
		var wg sync.WaitGroup
		var received atomic.Int64
		for w := range 16 {
			wg.Go(func() {
				for i := range 20 {
					p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
					if err != nil {
						t.Error(err)
						return
					}
					s, err := proactor.OpenStream(rt, proactor.Receives{FD: p[1], Group: g}, proactor.StreamConfig{Depth: 1 + i%3})
					if err != nil {
						t.Error(err)
						return
					}
					if err := send(p[0], make([]byte, 100*(1+(w+i)%7))); err != nil {
						t.Error(err)
					}
					switch i % 4 {
					case 0: // never asked
					case 1, 2: // left early
						for l, err := range s.All(ctx) {
							if err != nil {
								t.Error(err)
								break
							}
							received.Add(int64(l.Len()))
							l.Release()
							break
						}
					case 3: // to the end
						_ = syscall.Shutdown(p[0], syscall.SHUT_WR)
						n := 0
						for l, err := range s.All(ctx) {
							if err != nil {
								t.Error(err)
								break
							}
							n += l.Len()
							l.Release()
						}
						if n != 100*(1+(w+i)%7) {
							t.Errorf("%d bytes of %d", n, 100*(1+(w+i)%7))
						}
					}
					_ = s.Close()
					_ = syscall.Close(p[0])
					_ = syscall.Close(p[1])
				}
			})
		}
		wg.Wait()
		require.Positive(t, received.Load())
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, g.Stats().Leased)
	})
}
