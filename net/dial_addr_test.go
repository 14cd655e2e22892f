package net_test

import (
	"context"
	stdnet "net"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// The options of the standard library's types exist here, with the same types.
func TestOptionsAreThoseOfTheStandardLibrary(t *testing.T) {
	for _, types := range [][2]reflect.Type{
		{reflect.TypeFor[stdnet.Dialer](), reflect.TypeFor[net.Dialer]()},
		{reflect.TypeFor[stdnet.ListenConfig](), reflect.TypeFor[net.ListenConfig]()},
	} {
		for f := range types[0].Fields() {
			if !f.IsExported() {
				continue
			}
			mine, ok := types[1].FieldByName(f.Name)
			require.True(t, ok, "%v lacks %s", types[1], f.Name)
			require.Equal(t, f.Type, mine.Type, f.Name)
		}
		std, mine := reflect.PointerTo(types[0]), reflect.PointerTo(types[1])
		for m := range std.Methods() {
			if m.Name == "ListenPacket" {
				continue // see ListenPacket
			}
			_, ok := mine.MethodByName(m.Name)
			require.True(t, ok, "%v lacks %s", mine, m.Name)
		}
	}
}

// The methods that take addresses fail as the standard library's do, and succeed.
func TestDialerMethods(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		var std stdnet.Dialer
		d := net.Dialer{Runtime: rt}
		ctx := t.Context()
		same := func(want, got error) {
			t.Helper()
			require.Error(t, want)
			require.EqualError(t, got, want.Error())
			require.Equal(t, describe(want), describe(got))
		}
		tcp := listen(t, rt, "tcp4")
		port := uint16(tcp.Addr().(*stdnet.TCPAddr).Port)
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		from := netip.MustParseAddrPort("127.0.0.2:0")

		c, err := d.DialTCP(ctx, "tcp", from, to)
		require.NoError(t, err)
		require.Equal(t, "127.0.0.2", c.LocalAddr().(*stdnet.TCPAddr).IP.String())
		server, err := tcp.Accept()
		require.NoError(t, err)
		roundTrip(t, c, server)
		require.NoError(t, c.Close())
		require.NoError(t, server.Close())
		for _, network := range []string{"tcp", "tcp4"} {
			c, err = d.DialTCP(ctx, network, netip.AddrPort{}, to)
			require.NoError(t, err)
			require.NoError(t, c.Close())
			require.NoError(t, closing(tcp.Accept()))
		}
		for _, bad := range []struct {
			network string
			from    netip.AddrPort
		}{{"udp", from}, {"unix", netip.AddrPort{}}, {"tcp6", from}, {"tcp", netip.MustParseAddrPort("192.0.2.1:0")}} {
			_, want := std.DialTCP(ctx, bad.network, bad.from, to)
			_, err := d.DialTCP(ctx, bad.network, bad.from, to)
			same(want, err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, want := std.DialTCP(gone, "tcp", netip.AddrPort{}, to)
		_, err = d.DialTCP(gone, "tcp", netip.AddrPort{}, to)
		same(want, err)
		late := net.Dialer{Runtime: rt, Deadline: time.Unix(1, 0)}
		_, err = late.DialTCP(ctx, "tcp", netip.AddrPort{}, to)
		require.True(t, err.(stdnet.Error).Timeout())

		unix := listen(t, rt, "unix")
		name := &stdnet.UnixAddr{Net: "unix", Name: unix.Addr().String()}
		for _, local := range []*stdnet.UnixAddr{nil, {Net: "unix"}, {Net: "unix", Name: filepath.Join(shortDir(t), "c")}} {
			c, err := d.DialUnix(ctx, "unix", local, name)
			require.NoError(t, err)
			server, err := unix.Accept()
			require.NoError(t, err)
			roundTrip(t, c, server)
			if local == nil || local.Name == "" {
				require.Contains(t, []string{"", "@"}, server.RemoteAddr().String(), "it has no name")
			} else {
				require.Equal(t, local.Name, server.RemoteAddr().String())
			}
			require.NoError(t, c.Close())
			require.NoError(t, server.Close())
		}
		for _, bad := range []*stdnet.UnixAddr{nil, {Net: "unix"}, {Net: "unix", Name: name.Name + "x"}} {
			_, want := std.DialUnix(ctx, "unix", nil, bad)
			_, err := d.DialUnix(ctx, "unix", nil, bad)
			same(want, err)
		}
		_, want = std.DialUnix(ctx, "tcp", nil, name)
		_, err = d.DialUnix(ctx, "tcp", nil, name)
		same(want, err)

		udp, err := stdnet.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer udp.Close()
		u, err := d.DialUDP(ctx, "udp", netip.AddrPort{}, udp.LocalAddr().(*stdnet.UDPAddr).AddrPort())
		require.NoError(t, err)
		_, err = u.Write([]byte("datagram"))
		require.NoError(t, err)
		b := make([]byte, 16)
		n, _, err := udp.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, "datagram", string(b[:n]))
		require.NoError(t, u.Close())
		_, want = std.DialIP(ctx, "tcp", netip.Addr{}, from.Addr())
		_, err = d.DialIP(ctx, "tcp", netip.Addr{}, from.Addr())
		same(want, err)

		// As with the standard library, a context is needed.
		require.PanicsWithValue(t, "nil context", func() { _, _ = d.DialContext(nil, "tcp", to.String()) }) //lint:ignore SA1012 that is the point
		require.PanicsWithValue(t, "nil context", func() { _, _ = d.DialTCP(nil, "tcp", from, to) })        //lint:ignore SA1012 that is the point
	})
}
