package net_test

import (
	"encoding/binary"
	"errors"
	stdnet "net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

func room(n, size int) []net.UDPMessage {
	ms := make([]net.UDPMessage, n)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, size)}
	}
	return ms
}

// A batch arrives whole and in order, of more messages than one system call
// takes, from many buffers, connected and not.
func TestUDPBatch(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"udp4", "udp6"} {
			server := listenUDP(t, rt, network)
			require.NoError(t, server.SetReadBuffer(4<<20))
			free := listenUDP(t, rt, network)
			for _, from := range []*net.UDPConn{dialUDP(t, rt, server.LocalAddr()), free} {
				const count = 150
				ms := make([]net.UDPMessage, count)
				for i := range ms {
					b := numbered(1, i, 8+i)
					ms[i].Buffers = [][]byte{b[:3], nil, b[3:]}
					if from == free {
						ms[i].Addr = addrPortOf(server)
					}
				}
				n, err := from.WriteBatch(ms, 0)
				require.NoError(t, err)
				require.Equal(t, count, n)
				in := room(100, 1000)
				for got := 0; got < count; {
					n, err := server.ReadBatch(in, 0)
					require.NoError(t, err)
					require.Positive(t, n)
					for _, m := range in[:n] {
						require.Equal(t, ms[got].N, m.N)
						_, number, err := checkNumbered(m.Buffers[0][:m.N])
						require.NoError(t, err)
						require.Equal(t, got, number)
						require.Equal(t, addrPortOf2(from), m.Addr)
						require.Zero(t, m.NN+m.Flags+m.Segment)
						got++
					}
				}
			}
			// What is wrong with a message does not keep those before it back.
			n, err := free.WriteBatch([]net.UDPMessage{
				{Buffers: [][]byte{[]byte("good")}, Addr: addrPortOf(server)}, {Buffers: [][]byte{[]byte("bad")}}}, 0)
			require.Equal(t, 1, n)
			require.ErrorContains(t, err, "missing address")
			huge := make([]byte, 70_000)
			n, err = free.WriteBatch([]net.UDPMessage{
				{Buffers: [][]byte{[]byte("good")}, Addr: addrPortOf(server)},
				{Buffers: [][]byte{huge}, Addr: addrPortOf(server)}}, 0)
			require.Equal(t, 1, n)
			require.ErrorIs(t, err, syscall.EMSGSIZE)
			var oe *stdnet.OpError
			require.ErrorAs(t, err, &oe)
			require.Equal(t, "write", oe.Op)
			require.Equal(t, server.LocalAddr().String(), oe.Addr.String())
			in := room(4, 3)
			for got := 0; got < 2; {
				n, err := server.ReadBatch(in, 0)
				require.NoError(t, err)
				for _, m := range in[:n] {
					require.Equal(t, 3, m.N)
					require.NotZero(t, m.Flags&syscall.MSG_TRUNC)
				}
				got += n
			}
			n, err = server.ReadBatch(nil, 0)
			require.NoError(t, err)
			require.Zero(t, n)
			require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Millisecond)))
			_, err = server.ReadBatch(in, 0)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.ErrorAs(t, err, &oe)
			require.Equal(t, "read", oe.Op)
			require.NoError(t, server.Close())
			_, err = server.ReadBatch(in, 0)
			require.ErrorIs(t, err, stdnet.ErrClosed)
			_, err = server.WriteBatch([]net.UDPMessage{{Addr: addrPortOf(free)}}, 0)
			require.ErrorIs(t, err, stdnet.ErrClosed)
		}
	})
}

// One message becomes many datagrams, and on the way in many become one.
func TestUDPSegments(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := listenUDP(t, rt, "udp4"), listenUDP(t, rt, "udp4")
		require.NoError(t, b.SetReadBuffer(4<<20))
		require.NoError(t, a.CanSegment(), "it has been there since Linux 4.18")
		all := bytesOf(5, 1000*20+10)
		ms := []net.UDPMessage{{Buffers: [][]byte{all[:777], all[777:]}, Addr: addrPortOf(b), Segment: 1000}}
		_, err := a.WriteBatch(ms, 0)
		require.NoError(t, err)
		require.Equal(t, len(all), ms[0].N)
		require.Zero(t, ms[0].NN)
		buf := make([]byte, 65536)
		for i := range 21 {
			n, err := receiveDatagram(b, i, buf)
			require.NoError(t, err)
			require.Equal(t, all[i*1000:min(len(all), (i+1)*1000)], buf[:n])
		}

		// Control data of all lengths stay what they are in front of the size.
		for _, cm := range [][]byte{tosMessage(0x20), append(tosMessage(0x20), ttlMessage(9)...), tosMessage(0x20)[:20]} {
			ms[0].OOB = cm
			_, err = a.WriteBatch(ms, 0)
			require.NoError(t, err, "%d bytes", len(cm))
			require.Equal(t, len(cm), ms[0].NN)
			for i := range 21 {
				n, err := receiveDatagram(b, i, buf)
				require.NoError(t, err)
				require.Equal(t, all[i*1000:min(len(all), (i+1)*1000)], buf[:n])
			}
		}
		ms[0].OOB = nil

		require.NoError(t, b.SetReceiveOffload(true))
		_, err = a.WriteBatch(ms, 0)
		require.NoError(t, err)
		in := room(1, 65536)
		var got []byte
		for len(got) < len(all) {
			if len(got) > 0 {
				in[0].OOB = make([]byte, 64)
			}
			n, err := b.ReadBatch(in, 0)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			if in[0].N > 1000 {
				require.Equal(t, 1000, in[0].Segment)
			}
			got = append(got, in[0].Buffers[0][:in[0].N]...)
		}
		require.Equal(t, all, got)
		require.NoError(t, b.SetReceiveOffload(false))

		_, err = a.WriteBatch([]net.UDPMessage{{Buffers: [][]byte{all}, Addr: addrPortOf(b), Segment: -1}}, 0)
		require.ErrorContains(t, err, "segment size out of range")
		_, err = a.WriteBatch([]net.UDPMessage{{Buffers: [][]byte{all}, Addr: addrPortOf(b), Segment: 1}}, 0)
		require.ErrorIs(t, err, syscall.EINVAL, "too many segments")
	})
}

// tosMessage and ttlMessage are control data of a sender.
func tosMessage(tos uint32) []byte { return ipMessage(syscall.IP_TOS, tos) }
func ttlMessage(ttl uint32) []byte { return ipMessage(syscall.IP_TTL, ttl) }

func ipMessage(typ, value uint32) []byte {
	b := make([]byte, syscall.CmsgSpace(4))
	if strconv.IntSize == 64 {
		binary.NativeEndian.PutUint64(b, uint64(syscall.CmsgLen(4)))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(syscall.CmsgLen(4)))
	}
	at := syscall.CmsgLen(0)
	binary.NativeEndian.PutUint32(b[at-8:], syscall.IPPROTO_IP)
	binary.NativeEndian.PutUint32(b[at-4:], typ)
	binary.NativeEndian.PutUint32(b[at:], value)
	return b
}

// Control data go both ways with a batch and with a single message.
func TestUDPControl(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := listenUDP(t, rt, "udp4"), listenUDP(t, rt, "udp4")
		p := ipv4.NewPacketConn(b)
		require.NoError(t, p.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true))
		to := addrPortOf(b)
		cm := (&ipv4.ControlMessage{Src: stdnet.IPv4(127, 0, 0, 1)}).Marshal()
		n, oobn, err := a.WriteMsgUDPAddrPort([]byte("one"), cm, to)
		require.NoError(t, err)
		require.Equal(t, []int{3, len(cm)}, []int{n, oobn})
		_, _, err = a.WriteMsgUDP([]byte("two"), cm, b.LocalAddr().(*stdnet.UDPAddr))
		require.NoError(t, err)
		out := []net.UDPMessage{{Buffers: [][]byte{[]byte("tri")}, OOB: cm, Addr: to}}
		_, err = a.WriteBatch(out, 0)
		require.NoError(t, err)
		require.Equal(t, len(cm), out[0].NN)
		check := func(oob []byte) {
			t.Helper()
			var m ipv4.ControlMessage
			require.NoError(t, m.Parse(oob))
			require.Equal(t, "127.0.0.1", m.Dst.String())
			require.Positive(t, m.IfIndex)
		}
		buf, oob := make([]byte, 10), make([]byte, 100)
		_, oobn, _, _, err = b.ReadMsgUDP(buf, oob)
		require.NoError(t, err)
		check(oob[:oobn])
		in := []net.UDPMessage{{Buffers: [][]byte{buf}, OOB: oob}}
		_, err = b.ReadBatch(in, 0)
		require.NoError(t, err)
		check(oob[:in[0].NN])
		// The package's own ReadFrom takes nothing but a *net.UDPConn of the
		// standard library; this is what it offers for others.
		theirs := []ipv4.Message{{Buffers: [][]byte{buf}, OOB: oob}}
		_, err = p.ReadBatch(theirs, 0)
		require.NoError(t, err)
		require.Equal(t, 3, theirs[0].N)
		require.Equal(t, a.LocalAddr().String(), theirs[0].Addr.String())
		check(oob[:theirs[0].NN])
		_, oobn, err = a.WriteMsgUDPAddrPort([]byte("cut"), nil, to)
		require.NoError(t, err)
		require.Zero(t, oobn)
		_, oobn, flags, _, err := b.ReadMsgUDP(buf, oob[:8])
		require.NoError(t, err)
		require.LessOrEqual(t, oobn, 8)
		require.NotZero(t, flags&syscall.MSG_CTRUNC)
	})
}

// What the ipv4 package does with a UDPConn, it does with ours, batches too; and
// what waits there is ended by a deadline.
func TestUDPUnderPacketConn(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := listenUDP(t, rt, "udp4"), listenUDP(t, rt, "udp4")
		pa, pb := ipv4.NewPacketConn(a), ipv4.NewPacketConn(b)
		out, in := make([]ipv4.Message, 10), make([]ipv4.Message, 10)
		for i := range out {
			out[i] = ipv4.Message{Buffers: [][]byte{numbered(1, i, 100)}, Addr: b.LocalAddr()}
			in[i].Buffers = [][]byte{make([]byte, 200)}
		}
		for range 20 {
			r := start(func() (int, error) {
				got := 0
				for got < len(in) {
					n, err := pb.ReadBatch(in, 0)
					if err != nil {
						return got, err
					}
					for _, m := range in[:n] {
						if _, number, err := checkNumbered(m.Buffers[0][:m.N]); err != nil || number != got {
							return got, errors.Join(err, errors.New("out of order"))
						}
						got++
					}
				}
				return got, nil
			})
			time.Sleep(20 * time.Microsecond)
			n, err := pa.WriteBatch(out, 0)
			require.NoError(t, err)
			require.Equal(t, len(out), n)
			require.NoError(t, (<-r).err)
		}
		require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, err := pb.ReadBatch(in, 0)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// A group on the loopback interface: who has joined receives.
func TestUDPMulticast(t *testing.T) {
	lo := loopbackInterface(t)
	group := &stdnet.UDPAddr{IP: stdnet.IPv4(239, 255, 17, 4)}
	c, err := net.ListenMulticastUDP("udp4", lo, group)
	require.NoError(t, err)
	defer c.Close()
	group.Port = int(addrPortOf(c).Port())
	sender, err := net.ListenUDP("udp4", &stdnet.UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer sender.Close()
	p := ipv4.NewPacketConn(sender)
	require.NoError(t, p.SetMulticastInterface(lo))
	require.NoError(t, p.SetMulticastLoopback(true))
	_, err = sender.WriteToUDP([]byte("all"), group)
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	buf := make([]byte, 10)
	n, from, err := c.ReadFromUDP(buf)
	require.NoError(t, err)
	require.Equal(t, "all", string(buf[:n]))
	require.Equal(t, sender.LocalAddr().String(), from.String())
	require.NoError(t, ipv4.NewPacketConn(c).LeaveGroup(lo, group))
	_, err = sender.WriteToUDP([]byte("nobody"), group)
	require.NoError(t, err)
	_, err = sender.WriteToUDPAddrPort([]byte("you"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(group.Port)))
	require.NoError(t, err)
	n, _, err = c.ReadFromUDP(buf)
	require.NoError(t, err)
	require.Equal(t, "you", string(buf[:n]))
}

func loopbackInterface(t testing.TB) *stdnet.Interface {
	t.Helper()
	all, err := stdnet.Interfaces()
	require.NoError(t, err)
	for _, i := range all {
		if i.Flags&stdnet.FlagLoopback != 0 {
			return &i
		}
	}
	t.Fatal("no loopback interface")
	return nil
}
