package proactor_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// tcpPair returns the two ends of a TCP connection on the loopback.
func tcpPair(t *testing.T) (a, b int) {
	t.Helper()
	l, addr := listener(t)
	a = dial(t, addr)
	b, _, err := syscall.Accept4(l, syscall.SOCK_CLOEXEC)
	require.NoError(t, err)
	fds(t, a, b)
	return a, b
}

func TestMakingConnections(t *testing.T) {
	testkit.NeedKernel(t, 6, 11, "BIND and LISTEN")
	unix := filepath.Join(t.TempDir(), "s")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, c := range map[string]struct {
			family int
			addr   proactor.Address
		}{
			"IPv4":     {syscall.AF_INET, proactor.IPAddress(netip.MustParseAddrPort("127.0.0.1:0"))},
			"IPv6":     {syscall.AF_INET6, proactor.IPAddress(netip.MustParseAddrPort("[::1]:0"))},
			"mapped":   {syscall.AF_INET6, proactor.IPAddress(netip.MustParseAddrPort("[::ffff:127.0.0.1]:0"))},
			"path":     {syscall.AF_UNIX, proactor.UnixAddress(unix)},
			"abstract": {syscall.AF_UNIX, proactor.UnixAddress("@" + unix)},
		} {
			t.Run(name, func(t *testing.T) {
				l := do(t, rt, proactor.Socket{Family: c.family, Type: syscall.SOCK_STREAM})
				fds(t, l)
				do(t, rt, proactor.Bind{FD: l, Address: c.addr})
				fail(t, rt, proactor.Bind{FD: badFD, Address: c.addr}, "bind", syscall.EBADF)
				do(t, rt, proactor.Listen{FD: l, Backlog: 10})
				to := c.addr
				if to.IP.IsValid() {
					to.IP = netip.AddrPortFrom(to.IP.Addr(), port(t, l))
				} else if name == "path" {
					defer func() { require.NoError(t, syscall.Unlink(unix)) }()
				}
				client := do(t, rt, proactor.Socket{Family: c.family, Type: syscall.SOCK_STREAM})
				fds(t, client)
				if to.IP.IsValid() {
					do(t, rt, proactor.Bind{FD: client, Address: c.addr})
				}
				do(t, rt, proactor.Connect{FD: client, To: to})
				conn := do(t, rt, proactor.Accept{FD: l})
				fds(t, conn.FD)
				if to.IP.IsValid() {
					want := proactor.IPAddress(netip.AddrPortFrom(to.IP.Addr(), port(t, client)))
					require.Equal(t, want, conn.Peer)
					require.Equal(t, want.IP.String(), conn.Peer.String())
				} else {
					require.True(t, conn.Peer.IsZero())
					require.Equal(t, to.Unix, to.String())
				}
				fail(t, rt, proactor.Connect{FD: client, To: to}, "connect", syscall.EISCONN)
			})
		}
		fail(t, rt, proactor.Socket{Family: 9999, Type: syscall.SOCK_STREAM}, "socket", syscall.EAFNOSUPPORT)
		fail(t, rt, proactor.Listen{FD: badFD}, "listen", syscall.EBADF)
		both := proactor.Address{IP: netip.MustParseAddrPort("1.2.3.4:5"), Unix: "x"}
		refuse(t, rt, proactor.Connect{To: both})
		refuse(t, rt, proactor.Bind{Address: proactor.UnixAddress(string(make([]byte, 200)))})
		refuse(t, rt, proactor.SendMsg{To: both})
	})
}

func port(t *testing.T, fd int) uint16 {
	t.Helper()
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return uint16(sa.Port)
	case *syscall.SockaddrInet6:
		return uint16(sa.Port)
	}
	t.Fatalf("%T has no port", sa)
	return 0
}

func TestMessages(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		udp := func() (int, proactor.Address) {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			fds(t, fd)
			require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
			return fd, proactor.IPAddress(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port(t, fd)))
		}
		a, addrA := udp()
		b, addrB := udp()
		buf1, buf2 := make([]byte, 3), make([]byte, 4)
		received, err := proactor.Submit(t.Context(), rt, proactor.RecvMsg{FD: b, Bufs: [][]byte{buf1, buf2}})
		require.NoError(t, err)
		require.Equal(t, 10, do(t, rt, proactor.SendMsg{FD: a, Bufs: [][]byte{[]byte("01234"), []byte("56789")}, To: addrB}))
		m, err := received.Result()
		require.NoError(t, err)
		require.Equal(t, proactor.Received{N: 7, Flags: syscall.MSG_TRUNC, From: addrA}, m)
		require.Equal(t, "0123456", string(buf1)+string(buf2))
		fail(t, rt, proactor.SendMsg{FD: a, Bufs: [][]byte{buf1}}, "sendmsg", syscall.EDESTADDRREQ)
		const dontWait = 0x40 // MSG_DONTWAIT
		fail(t, rt, proactor.RecvMsg{FD: b, Flags: dontWait}, "recvmsg", syscall.EAGAIN)
		refuse(t, rt, proactor.SendMsg{Bufs: make([][]byte, 1025)})
		refuse(t, rt, proactor.RecvMsg{Bufs: make([][]byte, 1025)})
	})
}

// Descriptors that a message brings belong to whoever takes the result, and are
// closed if nobody does.
func TestDescriptorsInMessages(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := socketpair(t)
		control := make([]byte, syscall.CmsgSpace(2*4))
		before := len(testkit.Fds(t))
		send := func() {
			n := do(t, rt, proactor.SendMsg{FD: a, Bufs: [][]byte{[]byte("x")}, Control: syscall.UnixRights(a, b)})
			require.Equal(t, 1, n)
		}
		send()
		m := do(t, rt, proactor.RecvMsg{FD: b, Bufs: [][]byte{make([]byte, 1)}, Control: control})
		messages, err := syscall.ParseSocketControlMessage(control[:m.Control])
		require.NoError(t, err)
		rights, err := syscall.ParseUnixRights(&messages[0])
		require.NoError(t, err)
		require.Len(t, rights, 2)
		for _, fd := range rights {
			require.NoError(t, syscall.Close(fd))
		}
		send()
		c, err := proactor.Submit(t.Context(), rt, proactor.RecvMsg{FD: b, Bufs: [][]byte{make([]byte, 1)}, Control: control})
		require.NoError(t, err)
		<-c.Done()
		require.Len(t, testkit.Fds(t), before+2)
		c.Abandon()
		require.Len(t, testkit.Fds(t), before)
	})
}

func TestZeroCopy(t *testing.T) {
	testkit.NeedKernel(t, 6, 2, "the report of zero-copy sends")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := tcpPair(t)
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
		got := make([]byte, len(data))
		for name, send := range map[string]func([]byte) proactor.ZeroCopySent{
			"SendZC":    func(p []byte) proactor.ZeroCopySent { return do(t, rt, proactor.SendZC{FD: a, Buf: p}) },
			"SendMsgZC": func(p []byte) proactor.ZeroCopySent { return do(t, rt, proactor.SendMsgZC{FD: a, Bufs: [][]byte{p}}) },
		} {
			t.Run(name, func(t *testing.T) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					for n := 0; n < len(got); {
						m, err := syscall.Read(b, got[n:])
						if err != nil || m == 0 {
							t.Errorf("read %d, %v", m, err)
							return
						}
						n += m
					}
				}()
				for n := 0; n < len(data); {
					sent := send(data[n:])
					require.Positive(t, sent.N)
					require.True(t, sent.Copied, "the loopback copies")
					n += sent.N
				}
				<-done
				require.True(t, bytes.Equal(data, got))
			})
		}
		fail(t, rt, proactor.SendZC{FD: badFD, Buf: data}, "send", syscall.EBADF)
		fail(t, rt, proactor.SendMsgZC{FD: badFD, Bufs: [][]byte{data}}, "sendmsg", syscall.EBADF)
	})
}

// A zero-copy send that is cancelled when some of the data are under way does
// not end before the peer has taken those: the kernel still reads them.
func TestZeroCopyCancelled(t *testing.T) {
	testkit.NeedKernel(t, 6, 2, "the report of zero-copy sends")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := tcpPair(t)
		c, err := proactor.Submit(t.Context(), rt, proactor.SendZC{FD: a, Buf: make([]byte, 64<<20), Flags: syscall.MSG_WAITALL})
		require.NoError(t, err)
		buf := make([]byte, 1<<16)
		n, err := syscall.Read(b, buf) // so it has begun
		require.NoError(t, err)
		c.Cancel()
		select {
		case <-c.Done():
			t.Error("it has let go of data that nobody has taken")
		default:
		}
		for done := false; !done; {
			select {
			case <-c.Done():
				done = true
			default:
				m, _, err := syscall.Recvfrom(b, buf, syscall.MSG_DONTWAIT)
				if err != syscall.EAGAIN {
					require.NoError(t, err)
					n += m
				}
			}
		}
		sent, err := c.Result()
		require.NoError(t, err, "some data have been sent")
		require.Less(t, sent.N, 64<<20)
		require.GreaterOrEqual(t, sent.N, n)
	})
}

func TestSocketCommands(t *testing.T) {
	testkit.NeedKernel(t, 6, 7, "commands of sockets")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := tcpPair(t)
		value := make([]byte, 4)
		binary.NativeEndian.PutUint32(value, 1)
		do(t, rt, proactor.SetOption{FD: a, Level: syscall.SOL_SOCKET, Name: syscall.SO_KEEPALIVE, Value: value})
		on, err := syscall.GetsockoptInt(a, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		require.NoError(t, err)
		require.Equal(t, 1, on)
		n := do(t, rt, proactor.GetOption{FD: a, Level: syscall.SOL_SOCKET, Name: syscall.SO_TYPE, Value: value})
		require.Equal(t, 4, n)
		require.EqualValues(t, syscall.SOCK_STREAM, binary.NativeEndian.Uint32(value))
		fail(t, rt, proactor.GetOption{FD: a, Level: syscall.SOL_SOCKET, Name: 9999, Value: value}, "uring_cmd", syscall.ENOPROTOOPT)
		fail(t, rt, proactor.SetOption{FD: a, Level: syscall.SOL_SOCKET, Name: 9999, Value: value}, "uring_cmd", syscall.ENOPROTOOPT)
		_, err = syscall.Write(a, []byte("12345"))
		require.NoError(t, err)
		testkit.Eventually(t, func() bool { return do(t, rt, proactor.Unread{FD: b}) == 5 }, "nothing arrives")
		testkit.Eventually(t, func() bool { return do(t, rt, proactor.Unsent{FD: a}) == 0 }, "nothing is acknowledged")
		fail(t, rt, proactor.Unread{FD: badFD}, "uring_cmd", syscall.EBADF)
		fail(t, rt, proactor.Unsent{FD: badFD}, "uring_cmd", syscall.EBADF)

		const siocinq = 0
		got := do(t, rt, proactor.Command{FD: b, Code: siocinq})
		require.EqualValues(t, 5, got)
		fail(t, rt, proactor.Command{FD: b, Code: 9999}, "uring_cmd", syscall.EOPNOTSUPP)
	})
}
