package proactor_test

import (
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// udp returns a socket on the loopback and its port.
func udp(t testing.TB) (fd, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	fds(t, fd)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return fd, sa.(*syscall.SockaddrInet4).Port
}

func TestDatagrams(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 64, Count: 2, Max: 4})
		fd, port := udp(t)
		s := stream(t, rt, proactor.Datagrams{FD: fd, Group: g}, 2)
		from, fromPort := udp(t)
		to := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}
		ctx := limited(t)
		for i := range 50 {
			message := fmt.Sprintf("message %d", i)
			require.NoError(t, syscall.Sendto(from, []byte(message), 0, to))
			d, err := s.Next(ctx)
			require.NoError(t, err)
			require.Equal(t, message, string(d.Data()))
			require.Equal(t, len(message), cap(d.Data()))
			require.Equal(t, fmt.Sprintf("127.0.0.1:%d", fromPort), d.From().String())
			require.Empty(t, d.Control())
			require.False(t, d.Truncated())
			require.True(t, d.Release())
			require.False(t, d.Release())
		}
		// An empty message is one, and a long one is cut.
		require.NoError(t, syscall.Sendto(from, nil, 0, to))
		d, err := s.Next(ctx)
		require.NoError(t, err)
		require.Empty(t, d.Data())
		d.Release()
		require.NoError(t, syscall.Sendto(from, make([]byte, 100), 0, to))
		d, err = s.Next(ctx)
		require.NoError(t, err)
		require.Len(t, d.Data(), 64-44)
		require.True(t, d.Truncated())
		d.Release()

		_, err = proactor.OpenStream(rt, proactor.Datagrams{FD: fd, Group: g, Control: 20}, proactor.StreamConfig{})
		require.ErrorContains(t, err, "want more than 64")
	})
}

// An accept on each shard of one listening socket: every connection is accepted
// once, by one of them.
func TestAcceptOnEveryShard(t *testing.T) {
	rt := open(t, proactor.Config{Shards: 3})
	l, addr := listener(t)
	ctx := limited(t)
	const n = 60
	accepted := make(chan int, n)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range rt.Shards() {
		s, err := proactor.OpenStream(rt, proactor.Accepts{FD: l}, proactor.StreamConfig{Shard: rt.Shard(i)})
		require.NoError(t, err)
		defer s.Close()
		wg.Go(func() {
			for {
				a, err := s.Next(ctx)
				if err != nil {
					return
				}
				accepted <- a.FD
			}
		})
	}
	for range n {
		c := dial(t, addr)
		require.NoError(t, syscall.Close(<-accepted))
		require.NoError(t, syscall.Close(c))
	}
	g := group(t, rt, proactor.BufferConfig{})
	_, err := proactor.OpenStream(rt, proactor.Receives{FD: l, Group: g}, proactor.StreamConfig{Shard: rt.Shard(0)})
	require.ErrorContains(t, err, "shard 0 with buffers of shard 2")
}
