package net_test

import (
	"context"
	"errors"
	"io"
	stdnet "net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// udpConn is what a UDPConn of ours has, and what one of the standard library's
// has besides ReadBatch and the like.
type udpConn interface {
	stdnet.Conn
	stdnet.PacketConn
	syscall.Conn
	File() (*os.File, error)
	ReadFromUDP(b []byte) (int, *stdnet.UDPAddr, error)
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *stdnet.UDPAddr, err error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
	WriteToUDP(b []byte, addr *stdnet.UDPAddr) (int, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	WriteMsgUDP(b, oob []byte, addr *stdnet.UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
}

var (
	_ udpConn = (*stdnet.UDPConn)(nil)
	_ udpConn = (*net.UDPConn)(nil)
)

// packetNetworks are those whose sockets are not for one peer.
var packetNetworks = []string{"udp4", "udp6", "unixgram"}

func forEachPacketNetwork(t *testing.T, f func(t *testing.T, rt *proactor.Runtime, network string)) {
	t.Helper()
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range packetNetworks {
			t.Run(network, func(t *testing.T) { f(t, rt, network) })
		}
	})
}

// packetAddress returns an address to listen on.
func packetAddress(t testing.TB, network string) string {
	t.Helper()
	switch network {
	case "udp", "udp4":
		return "127.0.0.1:0"
	case "udp6":
		return "[::1]:0"
	}
	return address(t, network)
}

// listenPacket returns a socket that is closed when the test ends.
func listenPacket(t testing.TB, rt *proactor.Runtime, network string) net.PacketConn {
	t.Helper()
	lc := net.ListenConfig{Runtime: rt}
	c, err := lc.ListenPacket(context.Background(), network, packetAddress(t, network))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func listenUDP(t testing.TB, rt *proactor.Runtime, network string) *net.UDPConn {
	t.Helper()
	return listenPacket(t, rt, network).(*net.UDPConn)
}

// dialUDP connects to a socket until the test ends.
func dialUDP(t testing.TB, rt *proactor.Runtime, to stdnet.Addr) *net.UDPConn {
	t.Helper()
	d := net.Dialer{Runtime: rt}
	c, err := d.Dial("udp", to.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.UDPConn)
}

func addrPortOf(c stdnet.PacketConn) netip.AddrPort {
	return c.LocalAddr().(*stdnet.UDPAddr).AddrPort()
}

func TestPacketConn(t *testing.T) {
	forEachPacketNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		a, b := listenPacket(t, rt, network), listenPacket(t, rt, network)
		buf := make([]byte, 100)
		for _, sent := range [][]byte{[]byte("one"), {}, bytesOf(1, 50)} {
			n, err := a.WriteTo(sent, b.LocalAddr())
			require.NoError(t, err)
			require.Equal(t, len(sent), n)
			n, from, err := b.ReadFrom(buf)
			require.NoError(t, err, "an empty message is none of the stream's ends")
			require.Equal(t, sent, buf[:n])
			require.Equal(t, a.LocalAddr(), from)
		}
		// Two messages stay two, and what does not fit is lost.
		for range 2 {
			_, err := a.WriteTo([]byte("long"), b.LocalAddr())
			require.NoError(t, err)
		}
		for range 2 {
			n, _, err := b.ReadFrom(buf[:3])
			require.NoError(t, err)
			require.Equal(t, "lon", string(buf[:n]))
		}
		_, err := a.WriteTo([]byte("x"), stringAddr{})
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = a.(io.Writer).Write([]byte("x"))
		require.Error(t, err, "no peer")
		require.Nil(t, a.(stdnet.Conn).RemoteAddr())
	})
}

type stringAddr struct{}

func (stringAddr) Network() string { return "string" }
func (stringAddr) String() string  { return "string" }

// A receive that waits, in every way of receiving, gets what comes, and the
// next as well.
func TestUDPWaits(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"udp4", "udp6"} {
			a, b := listenUDP(t, rt, network), listenUDP(t, rt, network)
			from := addrPortOf(a)
			buf, oob := make([]byte, 10), make([]byte, 10)
			same := func(n int, addr *stdnet.UDPAddr, err error) (int, error) {
				if err == nil && (addr.AddrPort() != from || len(addr.IP) != len(a.LocalAddr().(*stdnet.UDPAddr).IP)) {
					return n, errors.New("from " + addr.String())
				}
				return n, err
			}
			for name, f := range map[string]func() (int, error){
				"Read": func() (int, error) { return b.Read(buf) },
				"ReadFrom": func() (int, error) {
					n, addr, err := b.ReadFrom(buf)
					return same(n, addr.(*stdnet.UDPAddr), err)
				},
				"ReadFromUDP": func() (int, error) { return same(b.ReadFromUDP(buf)) },
				"ReadMsgUDP": func() (int, error) {
					n, oobn, flags, addr, err := b.ReadMsgUDP(buf, oob)
					if oobn+flags != 0 {
						return n, errors.New("control data out of nowhere")
					}
					return same(n, addr, err)
				},
				"ReadBatch": func() (int, error) {
					ms := []net.UDPMessage{{Buffers: [][]byte{buf[:2], buf[2:]}}, {Buffers: [][]byte{oob}}}
					n, err := b.ReadBatch(ms, 0)
					if n != 1 || ms[0].Addr != from || ms[0].Flags != 0 || ms[0].Segment != 0 {
						return ms[0].N, errors.New("not the message")
					}
					return ms[0].N, err
				},
			} {
				for range pick(30, 12) {
					clear(buf)
					r := start(f)
					time.Sleep(50 * time.Microsecond)
					_, err := a.WriteToUDPAddrPort([]byte("hello"), addrPortOf(b))
					require.NoError(t, err)
					got := <-r
					require.NoError(t, got.err, name)
					require.Equal(t, "hello", string(buf[:got.n]), name)
				}
			}
		}
	})
}

// A connected socket talks to its peer and to nobody else.
func TestUDPConnected(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"udp4", "udp6"} {
			server, other := listenUDP(t, rt, network), listenUDP(t, rt, network)
			c := dialUDP(t, rt, server.LocalAddr())
			require.Equal(t, server.LocalAddr(), c.RemoteAddr())
			_, err := c.Write([]byte("ask"))
			require.NoError(t, err)
			buf := make([]byte, 10)
			n, from, err := server.ReadFromUDPAddrPort(buf)
			require.NoError(t, err)
			require.Equal(t, "ask", string(buf[:n]))
			require.Equal(t, addrPortOf(c), from)
			_, err = other.WriteToUDPAddrPort([]byte("not me"), from)
			require.NoError(t, err)
			for _, answer := range []string{"answer", ""} {
				_, err = server.WriteToUDPAddrPort([]byte(answer), from)
				require.NoError(t, err)
				n, err = c.Read(buf)
				require.NoError(t, err)
				require.Equal(t, answer, string(buf[:n]))
			}
			n, err = c.Read(nil)
			require.NoError(t, err)
			require.Zero(t, n)
			to := server.LocalAddr().(*stdnet.UDPAddr)
			for _, f := range []func() error{
				func() error { _, err := c.WriteTo(buf, to); return err },
				func() error { _, err := c.WriteToUDP(buf, to); return err },
				func() error { _, err := c.WriteToUDPAddrPort(buf, to.AddrPort()); return err },
				func() error { _, _, err := c.WriteMsgUDP(buf, nil, to); return err },
				func() error { _, _, err := c.WriteMsgUDPAddrPort(buf, nil, to.AddrPort()); return err },
				func() error {
					_, err := c.WriteBatch([]net.UDPMessage{{Buffers: [][]byte{buf}, Addr: to.AddrPort()}}, 0)
					return err
				},
			} {
				require.ErrorIs(t, f(), stdnet.ErrWriteToConnected)
			}
			_, _, err = c.WriteMsgUDP([]byte("m"), nil, nil)
			require.NoError(t, err)
			n, _, err = server.ReadFromUDP(buf)
			require.NoError(t, err)
			require.Equal(t, "m", string(buf[:n]))
		}
	})
}

// That nobody listens is an error of a connected socket's next operation, or of
// the receive that waits.
func TestUDPRefused(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		server := listenUDP(t, rt, "udp4")
		c := dialUDP(t, rt, server.LocalAddr())
		require.NoError(t, server.Close())
		for _, f := range []func() error{
			func() error { _, err := c.Read(make([]byte, 10)); return err },
			func() error { _, _, err := c.ReadFromUDPAddrPort(make([]byte, 10)); return err },
			func() error {
				_, err := c.ReadBatch([]net.UDPMessage{{Buffers: [][]byte{make([]byte, 10)}}}, 0)
				return err
			},
		} {
			r := start(func() (int, error) { return 0, f() })
			time.Sleep(100 * time.Microsecond)
			_, _ = c.Write([]byte("x"))
			require.ErrorIs(t, (<-r).err, syscall.ECONNREFUSED)
		}
	})
}

// A socket of both families receives from IPv4 with mapped addresses, and sends
// to them in either form.
func TestUDPMapped(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		lc := net.ListenConfig{Runtime: rt}
		pc, err := lc.ListenPacket(context.Background(), "udp", ":0")
		require.NoError(t, err)
		both := pc.(*net.UDPConn)
		defer both.Close()
		port := addrPortOf(both).Port()
		four := listenUDP(t, rt, "udp4")
		_, err = four.WriteToUDPAddrPort([]byte("4"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
		require.NoError(t, err)
		_, err = four.WriteToUDPAddrPort([]byte("m"), netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), port))
		require.NoError(t, err)
		buf := make([]byte, 10)
		_, from, err := both.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		require.Equal(t, netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), addrPortOf(four).Port()), from)
		_, addr, err := both.ReadFromUDP(buf)
		require.NoError(t, err)
		require.Len(t, addr.IP, 16)
		for _, to := range []netip.AddrPort{from, addrPortOf(four)} {
			_, err = both.WriteToUDPAddrPort([]byte("x"), to)
			require.NoError(t, err)
			_, err = both.WriteToUDP([]byte("x"), stdnet.UDPAddrFromAddrPort(to))
			require.NoError(t, err)
			for range 2 {
				n, _, err := four.ReadFromUDPAddrPort(buf)
				require.NoError(t, err)
				require.Equal(t, 1, n)
			}
		}
		var ae *stdnet.AddrError
		six := netip.MustParseAddrPort("[::1]:1")
		_, err = four.WriteToUDPAddrPort(nil, six)
		require.ErrorAs(t, err, &ae)
		_, err = four.WriteToUDP(nil, stdnet.UDPAddrFromAddrPort(six))
		require.ErrorAs(t, err, &ae)
		_, err = four.WriteBatch([]net.UDPMessage{{Addr: six}}, 0)
		require.ErrorAs(t, err, &ae)
	})
}

// Link-local addresses have a zone.
func TestUDPZone(t *testing.T) {
	var zoned netip.Addr
	interfaces, err := stdnet.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && i.Flags&stdnet.FlagUp != 0 {
				zoned = p.Addr().WithZone(i.Name)
			}
		}
	}
	if !zoned.IsValid() {
		t.Log("no interface has a link-local address: nothing to see")
		return
	}
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		lc := net.ListenConfig{Runtime: rt}
		pc, err := lc.ListenPacket(context.Background(), "udp6", netip.AddrPortFrom(zoned, 0).String())
		require.NoError(t, err)
		defer pc.Close()
		c := pc.(*net.UDPConn)
		_, err = c.WriteToUDPAddrPort([]byte("z"), addrPortOf(c))
		require.NoError(t, err)
		_, from, err := c.ReadFromUDPAddrPort(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, addrPortOf(c), from)
		_, err = c.WriteTo([]byte("z"), c.LocalAddr())
		require.NoError(t, err)
		_, addr, err := c.ReadFrom(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, c.LocalAddr(), addr)
	})
}

// File and FilePacketConn give the same socket again, whose operations still
// wait.
func TestPacketFile(t *testing.T) {
	forEachPacketNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		a, b := listenPacket(t, rt, network), listenPacket(t, rt, network)
		f, err := b.(interface{ File() (*os.File, error) }).File()
		require.NoError(t, err)
		defer f.Close()
		lc := net.ListenConfig{Runtime: rt}
		again, err := lc.FilePacketConn(f)
		require.NoError(t, err)
		defer again.Close()
		require.Equal(t, b.LocalAddr(), again.LocalAddr())
		require.IsType(t, b, again)
		for _, c := range []net.PacketConn{b, again} {
			buf := make([]byte, 10)
			r := start(func() (int, error) { n, _, err := c.ReadFrom(buf); return n, err })
			time.Sleep(50 * time.Microsecond)
			_, err = a.WriteTo([]byte("hello"), b.LocalAddr())
			require.NoError(t, err)
			got := <-r
			require.NoError(t, got.err)
			require.Equal(t, "hello", string(buf[:got.n]))
			_, err = c.WriteTo([]byte("back"), a.LocalAddr())
			require.NoError(t, err)
			n, _, err := a.ReadFrom(buf)
			require.NoError(t, err)
			require.Equal(t, "back", string(buf[:n]))
		}
		d := net.Dialer{Runtime: rt}
		c, err := d.FileConn(f)
		require.NoError(t, err)
		require.IsType(t, b, c)
		require.NoError(t, c.Close())
	})
}

// The functions of the package, which run on the default runtime.
func TestPacketFunctions(t *testing.T) {
	loopback := &stdnet.UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)}
	a, err := net.ListenUDP("udp4", loopback)
	require.NoError(t, err)
	defer a.Close()
	b, err := net.DialUDP("udp", nil, a.LocalAddr().(*stdnet.UDPAddr))
	require.NoError(t, err)
	defer b.Close()
	_, err = b.Write([]byte("x"))
	require.NoError(t, err)
	_, from, err := a.ReadFromUDP(make([]byte, 1))
	require.NoError(t, err)
	require.Equal(t, b.LocalAddr().String(), from.String())
	_, err = net.ListenUDP("tcp", nil)
	require.ErrorAs(t, err, new(stdnet.UnknownNetworkError))
	_, err = net.DialUDP("udp", nil, nil)
	require.ErrorContains(t, err, "missing address")
	_, err = net.ListenMulticastUDP("udp", nil, nil)
	require.ErrorContains(t, err, "missing address")
	_, err = net.ListenPacket("tcp", "127.0.0.1:0")
	require.ErrorContains(t, err, "unexpected address type")
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	require.IsType(t, a, p)
	require.NoError(t, p.Close())
}

// What a socket cannot do says so, also a nil one.
func TestUDPNil(t *testing.T) {
	for _, c := range []*net.UDPConn{nil, new(net.UDPConn)} {
		require.Nil(t, c.LocalAddr())
		require.Nil(t, c.RemoteAddr())
		for _, f := range []func() error{
			func() error { _, err := c.Read(nil); return err },
			func() error { _, err := c.Write(nil); return err },
			func() error { _, _, err := c.ReadFrom(nil); return err },
			func() error { _, _, _, _, err := c.ReadMsgUDP(nil, nil); return err },
			func() error { _, err := c.WriteTo(nil, nil); return err },
			func() error { _, err := c.WriteToUDPAddrPort(nil, netip.AddrPort{}); return err },
			func() error { _, _, err := c.WriteMsgUDP(nil, nil, nil); return err },
			func() error { _, err := c.ReadBatch(nil, 0); return err },
			func() error { _, err := c.WriteBatch(nil, 0); return err },
			func() error { return c.SetReceiveOffload(true) },
			func() error { return c.SetDeadline(time.Time{}) },
			func() error { return c.SetReadBuffer(1) },
			func() error { _, err := c.File(); return err },
			func() error { _, err := c.SyscallConn(); return err },
			c.CanSegment, c.Close,
		} {
			require.Equal(t, syscall.EINVAL, f())
		}
	}
}

// The suite for connections, over one that keeps messages.
func TestUnixpacketConn(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		nettest.TestConn(t, func() (stdnet.Conn, stdnet.Conn, func(), error) {
			return pipe(rt, "unixpacket", address(t, "unixpacket"))
		})
	})
}
