package proactor_test

import (
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A stream whose operation ended for want of buffers learns that the Runtime has
// ended meanwhile. It once gave buffers to a group that was freed, and panicked.
func TestStreamWithoutBuffersEndsWithTheRuntime(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			rt := open(t, cfg)
			g, err := rt.Shard(0).NewBufferGroup(proactor.BufferConfig{Size: 8, Count: 2, Max: 2})
			require.NoError(t, err)
			a, b := socketpair(t)
			s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 100)
			require.NoError(t, send(a, make([]byte, 8*20)))
			l, err := s.Next(limited(t))
			require.NoError(t, err)
			l.Release()
			testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 0 }, "the buffers suffice")
			require.NoError(t, rt.Close())
			n := 0
			for ; n < 21; n++ {
				if l, err = s.Next(limited(t)); err != nil {
					break
				}
				require.True(t, l.Release())
			}
			require.ErrorIs(t, err, proactor.ErrClosed)
			require.Zero(t, g.Stats().Leased)
		})
	}
}

// untilThird is an accept of connections that ends after two, by saying so.
type untilThird struct {
	proactor.Accepts
	seen *int
	end  error
}

func (o untilThird) Item(r *proactor.Request, c driver.Completion) (proactor.Arrival, error) {
	if *o.seen++; *o.seen == 3 {
		return proactor.Arrival{}, o.end
	}
	return o.Accepts.Item(r, c)
}

// When Item says that the stream is at its end, nothing follows, although the
// kernel is not done; and the descriptors that come all the same are closed.
func TestStreamEndedByItsItems(t *testing.T) {
	for _, end := range []error{io.EOF, syscall.EPROTO} {
		forEach(t, func(t *testing.T, rt *proactor.Runtime) {
			before := openFiles(t)
			l, addr := listener(t)
			s := stream(t, rt, proactor.Multishot[proactor.Arrival](untilThird{proactor.Accepts{FD: l}, new(int), end}), 10)
			var clients []int
			for range 6 {
				clients = append(clients, dial(t, addr))
			}
			for range 2 {
				a, err := s.Next(limited(t))
				require.NoError(t, err)
				require.NoError(t, syscall.Close(a.FD))
			}
			for range 3 {
				_, err := s.Next(limited(t))
				require.ErrorIs(t, err, end)
			}
			require.NoError(t, s.Close())
			for _, fd := range clients {
				require.NoError(t, syscall.Close(fd))
			}
			require.Equal(t, before+1, openFiles(t)) // the listener
		})
	}
}

// untilDot is a stream of messages that ends with the one that is a dot.
type untilDot struct{ proactor.Receives }

func (o untilDot) Item(r *proactor.Request, c driver.Completion) (proactor.Lease, error) {
	l, err := o.Receives.Item(r, c)
	if err == nil && string(l.Bytes()) == "." {
		l.Release()
		return proactor.Lease{}, io.EOF
	}
	return l, err
}

// A Multishot of the program's own uses a group of buffers as those of this
// package do: the group grows for it, and is not closed under it.
func TestOwnMultishotWithBuffers(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 8, Count: 1, Max: 2})
		p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		fds(t, p[:]...)
		s := stream(t, rt, proactor.Multishot[proactor.Lease](untilDot{proactor.Receives{FD: p[1], Group: g}}), 0)
		require.ErrorContains(t, g.Close(), "streams use")
		for _, m := range []string{"a", "b", "c", "d", ".", "e"} {
			require.NoError(t, send(p[0], []byte(m)))
		}
		for _, want := range []string{"a", "b", "c", "d"} {
			l, err := s.Next(limited(t))
			require.NoError(t, err)
			require.Equal(t, want, string(l.Bytes()))
			require.True(t, l.Release())
		}
		_, err = s.Next(limited(t))
		require.Equal(t, io.EOF, err)
		require.NoError(t, s.Close())
		require.Zero(t, g.Stats().Leased)
	})
}
