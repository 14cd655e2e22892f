package net_test

import (
	"bytes"
	"context"
	"io"
	stdnet "net"
	"os"
	goruntime "runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// Thousands of idle connections, each with a Read that waits, do not hinder a
// few that are busy, and all of them are alive.
func TestManyIdleConnections(t *testing.T) {
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		n := 300
		if plain(t) {
			n = pick(2000, 500)
		}
		l := listen(t, rt, "tcp4")
		type idle struct {
			client, server stdnet.Conn
			read           <-chan result
			buf            []byte
		}
		conns := make([]idle, n)
		for i := range conns {
			c := &conns[i]
			c.client = dial(t, rt, l)
			var err error
			c.server, err = l.Accept()
			require.NoError(t, err)
			c.buf = make([]byte, 8)
			c.read = start(func() (int, error) { return c.server.Read(c.buf) })
		}
		busy := func() {
			var running []<-chan result
			for i := range 3 {
				c1, c2 := connect(t, rt, "tcp4")
				seed, size := uint64(20+i), 1<<20
				running = append(running,
					start(func() (int, error) { return c1.Write(bytesOf(seed, size)) }),
					start(func() (int, error) { return check(c2, seed, size, 10_000) }))
			}
			for _, r := range running {
				require.NoError(t, (<-r).err)
			}
			c1, c2 := connect(t, rt, "tcp4")
			for range 100 {
				roundTrip(t, c1, c2)
			}
		}
		busy()
		for i, c := range conns { // all at once become busy
			_, err := c.client.Write([]byte{byte(i), byte(i >> 8)})
			require.NoError(t, err)
		}
		for i, c := range conns {
			r := <-c.read
			require.NoError(t, r.err)
			require.Equal(t, 2, r.n)
			require.Equal(t, []byte{byte(i), byte(i >> 8)}, c.buf[:2])
		}
		for i := range conns {
			c := &conns[i]
			c.read = start(func() (int, error) { return c.server.Read(c.buf) })
		}
		busy()
		for i, c := range conns {
			switch i % 3 {
			case 0:
				require.NoError(t, c.client.Close())
				require.Equal(t, io.EOF, (<-c.read).err)
			case 1:
				require.NoError(t, c.server.SetReadDeadline(past))
				require.ErrorIs(t, (<-c.read).err, os.ErrDeadlineExceeded)
			case 2:
				require.NoError(t, c.server.Close())
				require.ErrorIs(t, (<-c.read).err, net.ErrClosed)
			}
			_ = c.server.Close()
		}
	})
}

// A round trip on an established connection allocates nothing, whether its
// Reads find something or wait.
func TestRoundTripsDoNotAllocate(t *testing.T) {
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range networks {
			c1, c2 := connect(t, rt, network)
			request, answer := make([]byte, 64), make([]byte, 64)
			done := start(func() (int, error) {
				buf := make([]byte, 64)
				for {
					n, err := c2.Read(buf)
					if err == nil {
						_, err = c2.Write(buf[:n])
					}
					if err != nil {
						return 0, err
					}
				}
			})
			trip := func() {
				if _, err := c1.Write(request); err != nil {
					panic(err)
				}
				if _, err := io.ReadFull(c1, answer); err != nil {
					panic(err)
				}
			}
			deadline := time.Now().Add(time.Hour)
			withDeadline := func() {
				if err := c1.SetDeadline(deadline); err != nil {
					panic(err)
				}
				trip()
			}
			withDeadline()
			goruntime.GC()
			require.Zero(t, testing.AllocsPerRun(pick(200, 50), trip), network)
			require.Zero(t, testing.AllocsPerRun(pick(200, 50), withDeadline), network)
			require.NoError(t, c1.Close())
			require.Equal(t, io.EOF, (<-done).err)
		}
	})
}

// A Write that has to wait allocates nothing either.
func TestLargeWritesDoNotAllocate(t *testing.T) {
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		c1, c2 := connect(t, rt, "tcp4")
		reader := start(func() (int, error) {
			buf := make([]byte, 256<<10)
			for {
				if _, err := c2.Read(buf); err != nil {
					return 0, err
				}
			}
		})
		write := func() {
			if _, err := c1.Write(zeros); err != nil {
				panic(err)
			}
		}
		write()
		require.Zero(t, testing.AllocsPerRun(10, write))
		require.NoError(t, c1.Close())
		require.Equal(t, io.EOF, (<-reader).err)
	})
}

// A peer that is gone without a word: a Read waits until its deadline, the
// connection stays usable for all that one can tell, and what is written is
// answered by a reset.
func TestSilentPeer(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := listen(t, rt, "tcp4")
		peer, err := stdnet.Dial("tcp4", l.Addr().String())
		require.NoError(t, err)
		defer peer.Close()
		c, err := l.Accept()
		require.NoError(t, err)
		defer c.Close()
		roundTrip(t, c, peer)
		vanished := vanish(peer)
		for range 2 {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(2*time.Millisecond)))
			_, err = c.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		read := start(func() (int, error) { return c.Read(make([]byte, 1)) })
		_, err = c.Write([]byte("anybody there?"))
		require.NoError(t, err)
		if !vanished { // for want of the right to do so
			require.NoError(t, peer.Close())
		}
		require.ErrorIs(t, (<-read).err, syscall.ECONNRESET)
		_, err = c.Write(bytes.Repeat([]byte("x"), 1000))
		require.ErrorIs(t, err, syscall.EPIPE)
	})
}

// Contexts and deadlines of a Dialer do not outlive the dial.
func TestDialersTimeIsForTheDial(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		ctx, cancel := context.WithCancel(context.Background())
		d := net.Dialer{Runtime: rt, Timeout: time.Hour}
		c, err := d.DialContext(ctx, l.Addr().Network(), l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		cancel()
		server, err := l.Accept()
		require.NoError(t, err)
		defer server.Close()
		roundTrip(t, c, server)
	})
}
