package net_test

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	stdnet "net"
	"net/netip"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// named returns a resolver for which every name has these addresses.
func named(t testing.TB, addresses ...string) *stdnet.Resolver {
	t.Helper()
	return &stdnet.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (stdnet.Conn, error) {
		client, server := stdnet.Pipe()
		go func() {
			defer server.Close()
			for answerDNS(server, addresses) == nil {
			}
		}()
		return client, nil
	}}
}

// answerDNS answers one question, framed as over TCP.
func answerDNS(c io.ReadWriter, addresses []string) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, question); err != nil {
		return err
	}
	var p dnsmessage.Parser
	head, err := p.Start(question)
	if err != nil {
		return err
	}
	q, err := p.Question()
	if err != nil {
		return err
	}
	b := dnsmessage.NewBuilder(make([]byte, 2), dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true})
	b.EnableCompression()
	_ = b.StartQuestions()
	_ = b.Question(q)
	_ = b.StartAnswers()
	rr := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	for _, a := range addresses {
		switch ip := netip.MustParseAddr(a); {
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			_ = b.AResource(rr, dnsmessage.AResource{A: ip.As4()})
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			_ = b.AAAAResource(rr, dnsmessage.AAAAResource{AAAA: ip.As16()})
		}
	}
	msg, err := b.Finish()
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	_, err = c.Write(msg)
	return err
}

// silent6 returns a port on which ::1 does not answer, and a listener on the same
// port of 127.0.0.1.
func silent6(t testing.TB, rt *proactor.Runtime) (string, stdnet.Listener) {
	t.Helper()
	lc := net.ListenConfig{Runtime: rt}
	for range 20 {
		addr, _ := fullBacklog(t, "tcp6")
		_, port, err := stdnet.SplitHostPort(addr)
		require.NoError(t, err)
		l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:"+port)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
			return port, l
		}
	}
	t.Fatal("no port is free for both families")
	return "", nil
}

// A family that does not answer is given its head start, and then the other is
// tried; what was begun in vain is given up.
func TestRaceOfFamilies(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		port, l := silent6(t, rt)
		const delay = 20 * time.Millisecond
		lib := ours(rt)
		d := stdnet.Dialer{Resolver: named(t, "127.0.0.1", "::1"), FallbackDelay: delay}
		begun := time.Now()
		c, err := lib.dial(t.Context(), d, "tcp", "both.test.:"+port)
		require.NoError(t, err)
		took := time.Since(begun)
		require.GreaterOrEqual(t, took, delay)
		require.Less(t, took, 10*time.Second)
		server, err := l.Accept()
		require.NoError(t, err)
		roundTrip(t, c, server)
		require.Equal(t, "127.0.0.1:"+port, c.RemoteAddr().String())
		require.NoError(t, c.Close())
		require.NoError(t, server.Close())

		// The family is asked for, or the race is not wanted: no other is tried.
		for name, d := range map[string]stdnet.Dialer{
			"tcp6": {Resolver: d.Resolver, Timeout: delay, FallbackDelay: time.Nanosecond},
			"tcp":  {Resolver: d.Resolver, Timeout: delay, FallbackDelay: -1},
		} {
			_, err = lib.dial(t.Context(), d, name, "both.test.:"+port)
			require.ErrorContains(t, err, ": i/o timeout")
			if rt.HasRing() || name == "tcp6" {
				// The standard library may name the next address.
				require.ErrorContains(t, err, "dial "+name+" [::1]:"+port+": ")
			}
		}
	})
}

// If the first family fails before its head start is over, the other is tried at
// once. If both fail, it is the error of the first that is returned.
func TestRaceAfterAFailure(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := listen(t, rt, "tcp4")
		port := strconv.Itoa(l.Addr().(*stdnet.TCPAddr).Port)
		lib := ours(rt)
		d := stdnet.Dialer{Resolver: named(t, "127.0.0.1", "::1"), FallbackDelay: time.Hour}
		c, err := lib.dial(t.Context(), d, "tcp", "both.test.:"+port)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, closing(l.Accept()))
		require.NoError(t, l.Close())

		for _, delay := range []time.Duration{0, time.Nanosecond, -1} {
			d.FallbackDelay = delay
			_, err = lib.dial(t.Context(), d, "tcp", "both.test.:"+port)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.ErrorContains(t, err, "dial tcp [::1]:"+port+": connect: ")
		}
	})
}

// Addresses of one family are tried one after the other, and share the time.
func TestDialSharesTheTime(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !plain(t) {
			return
		}
		// Nobody listens on the port of the others.
		lc := net.ListenConfig{Runtime: rt}
		l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.3:0")
		require.NoError(t, err)
		defer l.Close()
		port := strconv.Itoa(l.Addr().(*stdnet.TCPAddr).Port)
		lib := ours(rt)
		d := stdnet.Dialer{Resolver: named(t, "127.0.0.1", "127.0.0.2", "127.0.0.3"), Timeout: time.Hour}
		var deadlines []time.Duration
		d.ControlContext = func(ctx context.Context, network, _ string, _ syscall.RawConn) error {
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, "tcp4", network)
			deadlines = append(deadlines, time.Until(deadline).Round(time.Minute))
			return nil
		}
		c, err := lib.dial(t.Context(), d, "tcp", "some.test.:"+port)
		require.NoError(t, err)
		require.Equal(t, "127.0.0.3:"+port, c.RemoteAddr().String())
		require.NoError(t, c.Close())
		require.Equal(t, []time.Duration{20 * time.Minute, 30 * time.Minute, time.Hour}, deadlines)
	})
}

// When both families are connected, the one that lost is closed.
func TestRaceLeavesNothingBehind(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		lc := net.ListenConfig{Runtime: rt}
		l, err := lc.Listen(t.Context(), "tcp", "[::]:0") // both families
		require.NoError(t, err)
		defer l.Close()
		server := start(func() (int, error) {
			for {
				c, err := l.Accept()
				if err != nil {
					return 0, err
				}
				go func() {
					defer c.Close()
					_, _ = io.Copy(c, c)
				}()
			}
		})
		lib := ours(rt)
		port := strconv.Itoa(l.Addr().(*stdnet.TCPAddr).Port)
		d := stdnet.Dialer{Resolver: named(t, "127.0.0.1", "::1"), FallbackDelay: time.Nanosecond}
		rng := rand.New(rand.NewPCG(1, 2))
		for range pick(200, 30) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			d.FallbackDelay = time.Duration(1 + rng.IntN(100_000))
			if rng.IntN(3) == 0 {
				// Given up, before it is connected or after.
				stop := time.AfterFunc(time.Duration(rng.IntN(int(time.Millisecond))), cancel)
				defer stop.Stop()
			}
			c, err := lib.dial(ctx, d, "tcp", "both.test.:"+port)
			if err != nil {
				require.Error(t, ctx.Err(), "%v", err)
				require.ErrorContains(t, err, "operation was canceled")
				continue
			}
			_, err = c.Write([]byte("winner"))
			require.NoError(t, err)
			b := make([]byte, 6)
			_, err = io.ReadFull(c, b)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		stats := l.(net.DrainListener).Stats
		testkit.Eventually(t, func() bool { return stats().Active == 0 && stats().Backlog <= 0 }, "connections are left")
		require.NoError(t, l.Close())
		require.Error(t, (<-server).err)
	})
}

// The channel Cancel ends a dial as a context does.
func TestDialerCancel(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr, _ := fullBacklog(t, "tcp4")
		for name, lib := range map[string]*library{"std": standard, "ours": ours(rt)} {
			cancel := make(chan struct{})
			//lint:ignore SA1019 it has to work
			d := stdnet.Dialer{Cancel: cancel}
			stop := time.AfterFunc(5*time.Millisecond, func() { close(cancel) })
			err := closing(lib.dial(t.Context(), d, "tcp4", addr))
			stop.Stop()
			require.EqualError(t, err, "dial tcp4 "+addr+": operation was canceled", name)
			require.ErrorIs(t, err, context.Canceled, name)
			require.False(t, err.(stdnet.Error).Timeout(), name)
			err = closing(lib.dial(t.Context(), d, "tcp4", addr)) // closed before
			require.EqualError(t, err, "dial tcp4 "+addr+": operation was canceled", name)
		}
	})
}

// Control is shown each socket with the names that the standard library uses.
func TestDialerControl(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, c := range []struct{ listen, network, host string }{
			{"tcp4", "tcp", "127.0.0.1"}, {"tcp4", "tcp4", "127.0.0.1"}, {"tcp6", "tcp", "::1"}, {"tcp6", "tcp6", "::1"},
			{"tcp4", "tcp", ""}, {"unix", "unix", ""},
		} {
			l := listen(t, rt, c.listen)
			address := l.Addr().String()
			if c.listen != "unix" {
				address = stdnet.JoinHostPort(c.host, strconv.Itoa(l.Addr().(*stdnet.TCPAddr).Port))
			}
			type call struct{ network, address string }
			see := func(lib *library, with bool) (calls []call) {
				var d stdnet.Dialer
				type key struct{}
				note := func(network, address string, rc syscall.RawConn) error {
					calls = append(calls, call{network, address})
					return rc.Control(func(fd uintptr) {
						_, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TYPE)
						require.NoError(t, err)
					})
				}
				d.Control = note
				if with {
					d.Control = func(string, string, syscall.RawConn) error { panic("called") }
					d.ControlContext = func(ctx context.Context, network, address string, rc syscall.RawConn) error {
						require.Equal(t, true, ctx.Value(key{}))
						return note(network, address, rc)
					}
				}
				conn, err := lib.dial(context.WithValue(t.Context(), key{}, true), d, c.network, address)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				require.NoError(t, closing(l.Accept()))
				return calls
			}
			for _, with := range []bool{false, true} {
				want := see(standard, with)
				require.NotEmpty(t, want)
				require.Equal(t, want, see(ours(rt), with), "%v", c)
			}
		}
	})
}

const protocolMPTCP = 262

func protocol(t testing.TB, c any) int {
	t.Helper()
	rc, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	var v int
	require.NoError(t, rc.Control(func(fd uintptr) { v, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, soProtocol) }))
	require.NoError(t, err)
	return v
}

// Multipath TCP is used as the standard library would, and as it is asked for.
func TestMultipathTCP(t *testing.T) {
	require.Equal(t, new(stdnet.Dialer).MultipathTCP(), new(net.Dialer).MultipathTCP())
	require.Equal(t, new(stdnet.ListenConfig).MultipathTCP(), new(net.ListenConfig).MultipathTCP())
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp4", "tcp6"} {
			for _, choice := range []struct{ listen, dial *bool }{
				{}, {new(true), nil}, {new(false), nil}, {new(true), new(true)}, {new(false), new(true)}, {nil, new(false)},
			} {
				lc, std := net.ListenConfig{Runtime: rt}, stdnet.ListenConfig{}
				d, stdDialer := net.Dialer{Runtime: rt}, stdnet.Dialer{}
				if choice.listen != nil {
					lc.SetMultipathTCP(*choice.listen)
					std.SetMultipathTCP(*choice.listen)
				}
				if choice.dial != nil {
					d.SetMultipathTCP(*choice.dial)
					stdDialer.SetMultipathTCP(*choice.dial)
				}
				require.Equal(t, std.MultipathTCP(), lc.MultipathTCP())
				require.Equal(t, stdDialer.MultipathTCP(), d.MultipathTCP())
				stdListener, err := std.Listen(t.Context(), network, address(t, network))
				require.NoError(t, err)
				l, err := lc.Listen(t.Context(), network, address(t, network))
				require.NoError(t, err)
				require.Equal(t, protocol(t, stdListener), protocol(t, l))
				stdConn, err := stdDialer.Dial(network, stdListener.Addr().String())
				require.NoError(t, err)
				c, err := d.Dial(network, l.Addr().String())
				require.NoError(t, err)
				require.Equal(t, protocol(t, stdConn), protocol(t, c))
				if choice.dial != nil && *choice.dial {
					// Since Linux 5.6, if net.mptcp.enabled is not off.
					require.Contains(t, []int{protocolMPTCP, syscall.IPPROTO_TCP}, protocol(t, c))
				}
				server, err := l.Accept()
				require.NoError(t, err)
				roundTrip(t, c, server)
				require.Equal(t, l.Addr(), c.RemoteAddr())
				require.Equal(t, c.LocalAddr(), server.RemoteAddr())
				for _, c := range []io.Closer{c, server, stdConn, l, stdListener} {
					require.NoError(t, c.Close())
				}
			}
		}
	})
}

// Dials that are given up at a random moment, thousands of them, to a server that
// answers and to one that does not.
func TestDialsCancelledAtRandom(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		silent, _ := fullBacklog(t, "tcp4")
		l := listen(t, rt, "tcp4")
		server := start(func() (int, error) {
			for {
				c, err := l.Accept()
				if err != nil {
					return 0, err
				}
				_ = c.Close()
			}
		})
		d := net.Dialer{Runtime: rt}
		total := pick(2000, 100)
		if !plain(t) {
			total /= 4
		}
		var dials []<-chan result
		for i := range 4 {
			dials = append(dials, start(func() (n int, err error) {
				rng := rand.New(rand.NewPCG(uint64(i), 0))
				for range total {
					addr := l.Addr().String()
					if rng.IntN(2) == 0 {
						addr = silent
					}
					ctx, cancel := context.WithCancelCause(context.Background())
					stop := time.AfterFunc(time.Duration(rng.IntN(int(200*time.Microsecond))), func() { cancel(syscall.EDOM) })
					c, err := d.DialContext(ctx, "tcp", addr)
					if err == nil {
						n++
						_ = c.Close()
						stop.Stop()
						cancel(nil)
						continue
					}
					if ctx.Err() == nil {
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
