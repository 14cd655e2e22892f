package net_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	stdnet "net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// leaser is what stream connections have for leases.
type leaser interface {
	stream
	ReadLease() (net.Lease, error)
}

// byLease is a connection whose Read is made of ReadLease.
type byLease struct {
	leaser
	held chan net.Lease // at most one, of which something is left
}

func newByLease(c stdnet.Conn) *byLease {
	b := &byLease{c.(leaser), make(chan net.Lease, 1)}
	b.held <- net.Lease{}
	return b
}

func (c *byLease) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return c.leaser.Read(b)
	}
	l := <-c.held
	defer func() { c.held <- l }()
	if l.Len() == 0 {
		next, err := c.ReadLease()
		if err != nil {
			return 0, err
		}
		l = next
	}
	n := copy(b, l.Bytes())
	if n < l.Len() {
		l = l.Slice(n, l.Len())
	} else {
		l.Release()
		l = net.Lease{}
	}
	return n, nil
}

// readBuffers are the groups of buffers of a runtime.
func readBuffers(t testing.TB, rt *proactor.Runtime) (sum proactor.BufferStats) {
	for i := range rt.Shards() {
		g, err := rt.Shard(i).ReadBuffers()
		require.NoError(t, err)
		s := g.Stats()
		sum.Buffers += s.Buffers
		sum.Leased += s.Leased
		sum.Leases += s.Leases
		sum.Copied += s.Copied
		sum.Exhausted += s.Exhausted
	}
	return sum
}

// A Read that is made of leases is one of a net.Conn.
func TestConnByLease(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		nettest.TestConn(t, func() (c1, c2 stdnet.Conn, stop func(), err error) {
			c1, c2, stop, err = pipe(rt, network, address(t, network))
			if err != nil {
				return nil, nil, nil, err
			}
			return newByLease(c1), newByLease(c2), stop, nil
		})
	})
}

// take reads n bytes, some by ReadLease and some by Read, and checks that they
// are the pattern's. It keeps some leases for a while.
func take(c leaser, seed uint64, n int) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	want := newPattern(seed)
	var kept []net.Lease
	defer func() {
		for _, l := range kept {
			l.Release()
		}
	}()
	buf := make([]byte, 3000)
	for got := 0; got < n; {
		var b []byte
		if rng.IntN(4) == 0 {
			m, err := c.Read(buf[:1+rng.IntN(len(buf))])
			if err != nil {
				return fmt.Errorf("Read after %d bytes: %w", got, err)
			}
			b = buf[:m]
		} else {
			l, err := c.ReadLease()
			if err != nil {
				return fmt.Errorf("ReadLease after %d bytes: %w", got, err)
			}
			b = l.Bytes()
			kept = append(kept, l)
		}
		if len(b) == 0 {
			return fmt.Errorf("nothing after %d bytes", got)
		}
		if at := want.check(b); at >= 0 {
			return fmt.Errorf("byte %d is not what was sent", got+at)
		}
		got += len(b)
		for len(kept) > rng.IntN(6) {
			kept[0].Release()
			kept = kept[1:]
		}
	}
	for range 2 {
		l, err := c.ReadLease()
		if err != io.EOF {
			return fmt.Errorf("%d bytes and %w at the end", l.Len(), errors.Join(err))
		}
	}
	return nil
}

// give writes n bytes of the pattern in pieces of all sizes, with pauses.
func give(c stream, seed uint64, n int) error {
	rng := rand.New(rand.NewPCG(seed, 2))
	from := newPattern(seed)
	buf := make([]byte, 20_000)
	for n > 0 {
		m := 1 + rng.IntN(1<<rng.IntN(15))
		m = min(m, n, len(buf))
		_, _ = from.Read(buf[:m])
		if _, err := c.Write(buf[:m]); err != nil {
			return err
		}
		if n -= m; rng.IntN(8) == 0 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
		}
	}
	return c.CloseWrite()
}

// exchange has pairs of connections at work at once, each with bytes of its own.
func exchange(t *testing.T, rt *proactor.Runtime, network string, pairs, size int) {
	t.Helper()
	var running []<-chan result
	for i := range pairs {
		c1, c2 := connect(t, rt, network)
		running = append(running,
			start(func() (int, error) { return i, give(c1, uint64(i), size) }),
			start(func() (int, error) { return i, take(c2.(leaser), uint64(i), size) }))
	}
	for _, r := range running {
		r := <-r
		require.NoError(t, r.err, "pair %d", r.n)
	}
}

// Leases and Reads mixed yield what was sent, in order.
func TestReadLease(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		exchange(t, rt, network, 4, pick(500_000, 100_000))
		if rt.HasRing() {
			require.NotZero(t, readBuffers(t, rt).Leases)
			require.Zero(t, readBuffers(t, rt).Leased)
		}
	})
}

// hog takes leases until buffers are short, and keeps them.
func hog(t *testing.T, rt *proactor.Runtime) (release func()) {
	t.Helper()
	var kept []net.Lease
	for readBuffers(t, rt).Copied+readBuffers(t, rt).Exhausted == 0 {
		require.Less(t, len(kept), 500, "there is no pressure: %+v", readBuffers(t, rt))
		c1, c2 := connect(t, rt, "tcp4")
		waiting := make(chan net.Lease, 1)
		go func() {
			l, err := c1.(leaser).ReadLease()
			if err != nil {
				t.Error(err)
			}
			waiting <- l
		}()
		time.Sleep(time.Millisecond) // one that waits takes a buffer
		_, err := c2.Write([]byte{byte(len(kept))})
		require.NoError(t, err)
		kept = append(kept, <-waiting)
	}
	return func() {
		for i, l := range kept {
			require.Equal(t, []byte{byte(i)}, l.Bytes())
			require.True(t, l.Release())
		}
	}
}

// With far fewer buffers than connections, which hold leases besides, every
// connection gets its own bytes and no other's, and all go on.
func TestReadLeaseUnderPressure(t *testing.T) {
	if os.Getenv("YAMANOTE_EXPECT_BACKEND") == "std" {
		return // no buffers to lack
	}
	for name, cfg := range map[string]proactor.Config{
		"few":    {ReadBuffers: proactor.BufferConfig{Size: 512, Count: 2, Max: 4}},
		"one":    {ReadBuffers: proactor.BufferConfig{Size: 64, Count: 1, Max: 1}},
		"tiny":   {ReadBuffers: proactor.BufferConfig{Size: 100, Count: 2, Max: 2}, SQEntries: 2, CQEntries: 4},
		"shards": {ReadBuffers: proactor.BufferConfig{Size: 1000, Count: 1, Max: 3}, Shards: 3},
		"behind": {ReadBuffers: proactor.BufferConfig{Size: 1000, Count: 2, Max: 2}, WriteBehind: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Mode = proactor.ModeRing
			rt := newRuntime(t, cfg)
			release := hog(t, rt)
			for _, network := range networks {
				exchange(t, rt, network, pick(40, 10), pick(60_000, 30_000))
			}
			release()
			require.Zero(t, readBuffers(t, rt).Leased)
		})
	}
}

// Connections that wait for data hold no buffer, nor does one whose reader takes
// no more: its peer has to wait, and others do not.
func TestReadLeaseBackpressure(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		if !rt.HasRing() {
			return // no buffers
		}
		idle, idlePeer := connect(t, rt, network)
		waiting := start(func() (int, error) {
			l, err := idle.(leaser).ReadLease()
			defer l.Release()
			return l.Len(), err
		})
		slow, fast := connect(t, rt, network)
		const size = 32 << 20
		w := start(func() (int, error) {
			n, err := fast.Write(bytesOf(1, size))
			return n, errors.Join(err, fast.CloseWrite())
		})
		want, got := newPattern(1), 0
		for range 20 {
			l, err := slow.(leaser).ReadLease()
			require.NoError(t, err)
			require.Negative(t, want.check(l.Bytes()))
			got += l.Len()
			require.True(t, l.Release())
		}
		time.Sleep(20 * time.Millisecond)
		s := readBuffers(t, rt)
		require.Zero(t, s.Leased, "%+v", s)
		select {
		case <-w:
			t.Fatal("all was received although nobody takes it")
		default:
		}
		c1, c2 := connect(t, rt, network)
		roundTrip(t, newByLease(c1), newByLease(c2))

		_, err := idlePeer.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, result{1, nil}, <-waiting)

		buf := make([]byte, 1<<16)
		for got < size {
			n, err := slow.Read(buf)
			require.NoError(t, err)
			require.Negative(t, want.check(buf[:n]))
			got += n
		}
		require.NoError(t, (<-w).err)
		require.Zero(t, readBuffers(t, rt).Leased)
	})
}

// A lease outlives its connection.
func TestReadLeaseClose(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		w := start(func() (int, error) { return c1.Write(bytesOf(1, 8<<20)) })
		l, err := c2.(leaser).ReadLease()
		require.NoError(t, err)
		require.NoError(t, c2.Close())
		require.Error(t, (<-w).err)
		require.Negative(t, newPattern(1).check(l.Bytes()))
		require.True(t, l.Release())
		require.False(t, l.Release())
		_, err = c2.(leaser).ReadLease()
		require.ErrorIs(t, err, net.ErrClosed)
		if rt.HasRing() {
			require.Zero(t, readBuffers(t, rt).Leased)
		}

		c1, c2 = connect(t, rt, network)
		blocked := start(func() (int, error) {
			_, err := c2.(leaser).ReadLease()
			return 0, err
		})
		time.Sleep(5 * time.Millisecond)
		require.NoError(t, c2.Close())
		require.ErrorIs(t, (<-blocked).err, net.ErrClosed)
		require.NoError(t, c1.Close())
	})
}

// Deadlines end a ReadLease that waits, or refuse it, also if there are data; none
// of those is lost.
func TestReadLeaseDeadlines(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		c := c2.(leaser)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		_, err := c.ReadLease()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = c1.Write([]byte("abc"))
		require.NoError(t, err)
		_, err = c.ReadLease()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		l, err := c.ReadLease()
		require.NoError(t, err)
		require.Equal(t, "abc", string(l.Bytes()))
		require.True(t, l.Release())

		// Many deadlines while data come: every byte comes once.
		const size = 300_000
		w := start(func() (int, error) { return 0, give(c1, 7, size) })
		want := newPattern(7)
		for got := 0; got < size; {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Microsecond)))
			l, err := c.ReadLease()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
			require.NoError(t, err)
			require.Negative(t, want.check(l.Bytes()), "after %d bytes", got)
			got += l.Len()
			require.True(t, l.Release())
		}
		require.NoError(t, (<-w).err)
	})
}

// Nothing is received ahead that others who receive would miss.
func TestReadLeaseAndOthers(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 2 << 20
		in, from, to, out := leasePair(t, rt)
		w := start(func() (int, error) {
			n, err := in.Write(bytesOf(1, size))
			return n, errors.Join(err, in.CloseWrite())
		})
		want := newPattern(1)
		got := 0
		for range 30 {
			l, err := from.ReadLease()
			require.NoError(t, err)
			require.Negative(t, want.check(l.Bytes()))
			got += l.Len()
			require.True(t, l.Release())
		}
		r := start(func() (int, error) {
			b, err := io.ReadAll(out)
			if want.check(b) >= 0 {
				err = errors.Join(err, errors.New("not what was sent"))
			}
			return len(b), err
		})
		n, err := io.Copy(to, from)
		require.NoError(t, err)
		require.EqualValues(t, size, got+int(n))
		require.NoError(t, to.CloseWrite())
		require.NoError(t, (<-r).err)
		require.NoError(t, (<-w).err)
	})
}

func leasePair(t *testing.T, rt *proactor.Runtime) (in stream, from leaser, to, out stream) {
	t.Helper()
	in, f := connect(t, rt, "tcp4")
	to, out = connect(t, rt, "tcp4")
	return in, f.(leaser), to, out
}
