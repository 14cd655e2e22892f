package uring

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSocketBindListen make what accepts connections, without another system
// call.
func TestSocketBindListen(t *testing.T) {
	p := prove(t, IORING_OP_SOCKET, IORING_OP_BIND, IORING_OP_LISTEN)
	l := p.ring(8, Params{})
	stream := func(s *SQE) { s.PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) }
	fd := l.ok(stream)
	p.Cleanup(func() { _ = unix.Close(fd) })
	bind := func(fd int, at *inetAddr) func(*SQE) {
		return func(s *SQE) { s.PrepBind(fd, at.addr(), at.len) }
	}
	require.Zero(p, l.ok(bind(fd, local(l, 0))))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepListen(fd, 8) }))
	at := nameOf(l, fd)
	dial(l, at)

	second := l.ok(stream)
	p.Cleanup(func() { _ = unix.Close(second) })
	l.fails(syscall.EADDRINUSE, bind(second, at))
	l.fails(syscall.EINVAL, bind(fd, local(l, 0))) // has its address
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepBind(second, at.addr(), 3) })
	l.fails(syscall.EAFNOSUPPORT, func(s *SQE) { s.PrepSocket(9999, unix.SOCK_STREAM, 0) })
	l.fails(syscall.EPROTONOSUPPORT, func(s *SQE) { s.PrepSocket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP) })
	udp, _ := udpSocket(l)
	l.fails(syscall.EOPNOTSUPP, func(s *SQE) { s.PrepListen(udp, 8) })
	file, _ := newFile(p, "")
	l.fails(syscall.ENOTSOCK, func(s *SQE) { s.PrepListen(file, 8) })

	files(l)
	require.Zero(p, l.ok(func(s *SQE) { s.PrepSocket(unix.AF_INET, unix.SOCK_STREAM, 0); s.SetFileSlot(1) }))
	require.Zero(p, l.ok(flagged(IOSQE_FIXED_FILE, bind(1, local(l, 0)))))
	require.Zero(p, l.ok(flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepListen(1, 8) })))
	l.fails(syscall.EINVAL, func(s *SQE) { stream(s); s.SetFileSlot(2) }) // close-on-exec of a slot
}

// TestConnectAndAccept from both sides.
func TestConnectAndAccept(t *testing.T) {
	p := prove(t, IORING_OP_CONNECT, IORING_OP_ACCEPT)
	l := p.ring(8, Params{})
	lfd, at := listener(l)
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(client) })
	connect := func(fd int, at *inetAddr) func(*SQE) {
		return func(s *SQE) { s.PrepConnect(fd, at.addr(), at.len) }
	}

	peer, size := new(unix.RawSockaddrInet4), uint32(unix.SizeofSockaddrInet4)
	waiting := l.start(func(s *SQE) { s.PrepAccept(lfd, unsafe.Pointer(peer), &size, unix.SOCK_CLOEXEC, 0) })
	l.quiet()
	require.Zero(p, l.ok(connect(client, at)))
	fd := int(l.of(waiting).Res)
	require.Positive(p, fd)
	p.Cleanup(func() { _ = unix.Close(fd) })
	require.Equal(p, nameOf(l, client).raw, *peer, "the address of the peer")
	require.EqualValues(p, unix.SizeofSockaddrInet4, size)
	cloexec, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(p, err)
	require.Equal(p, unix.FD_CLOEXEC, cloexec)

	l.fails(syscall.EISCONN, connect(client, at))
	nobody, unbound := listener(l)
	require.NoError(p, unix.Close(nobody))
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(other) })
	l.fails(syscall.ECONNREFUSED, connect(other, unbound))
	require.Zero(p, l.ok(connect(other, at)), "waits on a socket that does not")
	accept := func(fd int, af AcceptFlags) func(*SQE) {
		return func(s *SQE) { s.PrepAccept(fd, nil, nil, unix.SOCK_CLOEXEC, af) }
	}
	require.NoError(p, unix.Close(l.ok(accept(lfd, 0))))
	l.fails(syscall.EINVAL, accept(client, 0)) // does not listen
	l.fails(syscall.EBADF, accept(1<<20, 0))

	needKernel(p, Version{6, 10}, "ACCEPT_DONTWAIT")
	l.fails(syscall.EAGAIN, accept(lfd, IORING_ACCEPT_DONTWAIT))
	waiting = l.start(accept(lfd, IORING_ACCEPT_POLL_FIRST))
	dial(l, at)
	require.NoError(p, unix.Close(int(l.of(waiting).Res)))
	dial(l, at)
	dial(l, at)
	cqe := l.do(accept(lfd, IORING_ACCEPT_DONTWAIT))
	require.True(p, cqe.SockNonempty(), "there is another")
	require.NoError(p, unix.Close(int(cqe.Res)))
}

// TestMultishotAccept completes for each connection until it is cancelled, and
// ends when there is no room for another file.
func TestMultishotAccept(t *testing.T) {
	needKernel(t, Version{5, 19}, "multishot accept")
	p := explore(t)
	l := p.ring(8, Params{})
	lfd, at := listener(l)
	id := l.start(func(s *SQE) { s.PrepAccept(lfd, nil, nil, unix.SOCK_CLOEXEC, IORING_ACCEPT_MULTISHOT) })
	for range 3 {
		dial(l, at)
		cqe := l.of(id)
		require.True(p, cqe.More())
		require.NoError(p, unix.Close(int(cqe.Res)))
	}
	require.Zero(p, l.ok(func(s *SQE) { s.PrepCancel(id, 0) }))
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())

	files(l)
	id = l.start(func(s *SQE) {
		s.PrepAccept(lfd, nil, nil, 0, IORING_ACCEPT_MULTISHOT)
		s.SetFileSlot(IORING_FILE_INDEX_ALLOC)
	})
	for slot := range 4 {
		dial(l, at)
		cqe := l.of(id)
		require.Equal(p, int32(slot), cqe.Res)
		require.True(p, cqe.More())
	}
	dial(l, at)
	cqe := l.of(id)
	require.Equal(p, syscall.ENFILE, cqe.Errno())
	require.False(p, cqe.More())

	l.fails(syscall.EINVAL, func(s *SQE) { // all of them cannot have the one slot
		s.PrepAccept(lfd, nil, nil, 0, IORING_ACCEPT_MULTISHOT)
		s.SetFileSlot(1)
	})
}

// TestShutdown ends the directions of a connection, and a receive that waits.
func TestShutdown(t *testing.T) {
	p := prove(t, IORING_OP_SHUTDOWN)
	l := p.ring(4, Params{})
	a, b := socketPair(p)
	buf := make([]byte, 8)
	waiting := l.start(func(s *SQE) { s.PrepRecv(a, buf, 0, 0) })
	require.Zero(p, l.ok(func(s *SQE) { s.PrepShutdown(b, unix.SHUT_WR) }))
	require.Zero(p, l.of(waiting).Res)
	require.NoError(p, unix.Shutdown(a, unix.SHUT_WR))
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepShutdown(a, 7) })
	file, _ := newFile(p, "")
	l.fails(syscall.ENOTSOCK, func(s *SQE) { s.PrepShutdown(file, unix.SHUT_WR) })
	lone, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(lone) })
	l.fails(syscall.ENOTCONN, func(s *SQE) { s.PrepShutdown(lone, unix.SHUT_WR) })
}

// TestSendAndRecv on streams and with destinations.
func TestSendAndRecv(t *testing.T) {
	p := prove(t, IORING_OP_SEND, IORING_OP_RECV)
	l := p.ring(8, Params{})
	a, b := socketPair(p)
	text, buf := []byte("hello"), make([]byte, 16)
	send := func(fd int, flags uint32) func(*SQE) {
		return func(s *SQE) { s.PrepSend(fd, text, flags, 0) }
	}
	recv := func(fd int, flags uint32, rs RecvSendFlags) func(*SQE) {
		return func(s *SQE) { s.PrepRecv(fd, buf, flags, rs) }
	}
	require.Equal(p, 5, l.ok(send(a, 0)))
	require.Equal(p, 5, l.ok(recv(b, unix.MSG_PEEK, 0)))
	require.Equal(p, 5, l.ok(recv(b, 0, 0)))
	require.Equal(p, "hello", string(buf[:5]))
	l.fails(syscall.EAGAIN, recv(b, unix.MSG_DONTWAIT, 0))

	// MSG_WAITALL collects what comes in pieces.
	all := l.start(recv(b, unix.MSG_WAITALL, 0))
	for range 4 {
		l.ok(func(s *SQE) { s.PrepSend(a, text[:4], 0, 0) })
	}
	require.Equal(p, int32(16), l.of(all).Res)
	require.Equal(p, "hellhellhellhell", string(buf))

	require.Zero(p, l.ok(func(s *SQE) { s.PrepShutdown(b, unix.SHUT_RDWR) }))
	l.fails(syscall.EPIPE, send(a, unix.MSG_NOSIGNAL))
	require.Zero(p, l.ok(recv(a, 0, 0)))
	file, _ := newFile(p, "")
	l.fails(syscall.ENOTSOCK, recv(file, 0, 0))

	udp, at := udpSocket(l)
	from, _ := udpSocket(l)
	l.fails(syscall.EDESTADDRREQ, send(from, 0))
	needKernel(p, Version{6, 1}, "destinations of sends")
	require.Equal(p, 5, l.ok(func(s *SQE) { send(from, 0)(s); s.SetSendAddr(at.addr(), uint16(at.len)) }))
	require.Equal(p, 5, l.ok(recv(udp, 0, IORING_RECVSEND_POLL_FIRST)))
	l.fails(syscall.EINVAL, func(s *SQE) { recv(udp, 0, 0)(s); s.Ioprio = 1 << 15 })

	needKernel(p, Version{6, 17}, "SEND_VECTORIZED")
	require.Equal(p, 8, l.ok(func(s *SQE) {
		s.PrepSend(from, nil, 0, IORING_SEND_VECTORIZED)
		s.Addr, s.Len = address(l.iovecs(text, text[:3])), 2
		s.SetSendAddr(at.addr(), uint16(at.len))
	}))
	require.Equal(p, 8, l.ok(recv(udp, 0, 0)))
	require.Equal(p, "hellohel", string(buf[:8]))
}

// message returns a msghdr for the pieces, which lives as long as the ring.
func message(l *lab, pieces ...[]byte) *unix.Msghdr {
	m := keep(l, unix.Msghdr{})
	if len(pieces) > 0 {
		m.Iov = (*unix.Iovec)(unsafe.Pointer(l.iovecs(pieces...)))
		m.SetIovlen(len(pieces))
	}
	return m
}

// TestMessages carry pieces, an address and control data.
func TestMessages(t *testing.T) {
	p := prove(t, IORING_OP_SENDMSG, IORING_OP_RECVMSG)
	l := p.ring(8, Params{})
	udp, at := udpSocket(l)
	from, source := udpSocket(l)

	out := message(l, []byte("two "), []byte("pieces"))
	out.Name, out.Namelen = (*byte)(at.addr()), at.len
	require.Equal(p, 10, l.ok(func(s *SQE) { s.PrepSendmsg(from, unsafe.Pointer(out), 0, 0) }))
	head, tail := make([]byte, 3), make([]byte, 16)
	in := message(l, head, tail)
	name := keep(l, inetAddr{})
	in.Name, in.Namelen = (*byte)(name.addr()), unix.SizeofSockaddrInet4
	require.Equal(p, 10, l.ok(func(s *SQE) { s.PrepRecvmsg(udp, unsafe.Pointer(in), 0, 0) }))
	require.Equal(p, "two pieces", string(head)+string(tail[:7]))
	require.Equal(p, source.raw, name.raw, "the address of the sender")

	// A message that does not fit is cut, and says so.
	l.ok(func(s *SQE) { s.PrepSendmsg(from, unsafe.Pointer(out), 0, 0) })
	in = message(l, head)
	require.Equal(p, 3, l.ok(func(s *SQE) { s.PrepRecvmsg(udp, unsafe.Pointer(in), 0, 0) }))
	require.NotZero(p, in.Flags&unix.MSG_TRUNC)

	// Descriptors travel as control data.
	a, b := socketPair(p)
	file, _ := newFile(p, "text")
	out = message(l, []byte("x"))
	fds := []byte{byte(file), byte(file >> 8), 0, 0}
	control := AppendControl(nil, unix.SOL_SOCKET, unix.SCM_RIGHTS, fds)
	out.Control = &control[0]
	out.SetControllen(len(control))
	require.Equal(p, 1, l.ok(func(s *SQE) { s.PrepSendmsg(a, unsafe.Pointer(out), 0, 0) }))
	room := make([]byte, ControlSpace(4))
	in = message(l, head)
	in.Control = &room[0]
	in.SetControllen(len(room))
	require.Equal(p, 1, l.ok(func(s *SQE) { s.PrepRecvmsg(b, unsafe.Pointer(in), unix.MSG_CMSG_CLOEXEC, 0) }))
	var got []int
	for m := range ControlMessages(room[:in.Controllen]) {
		require.EqualValues(p, unix.SOL_SOCKET, m.Level)
		require.EqualValues(p, unix.SCM_RIGHTS, m.Type)
		require.Len(p, m.Data, 4)
		got = append(got, int(m.Data[0])|int(m.Data[1])<<8)
	}
	require.Len(p, got, 1)
	require.Equal(p, "text", pread(p, got[0]))
	require.NoError(p, unix.Close(got[0]))

	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepSendmsg(a, nil, 0, 0) })
	l.fails(syscall.EAGAIN, func(s *SQE) { s.PrepRecvmsg(b, unsafe.Pointer(in), unix.MSG_DONTWAIT, 0) })
	l.fails(syscall.EMSGSIZE, func(s *SQE) {
		big := message(l, head)
		big.SetIovlen(1025)
		s.PrepRecvmsg(b, unsafe.Pointer(big), 0, 0)
	})
}

// TestMultishotRecvmsg takes messages apart that arrived in buffers of a group.
func TestMultishotRecvmsg(t *testing.T) {
	needKernel(t, Version{6, 0}, "multishot recvmsg")
	p := explore(t)
	l := p.ring(8, Params{})
	b := group(l, 3, 4, 128)
	udp, _ := udpSocket(l)
	require.NoError(p, unix.SetsockoptInt(udp, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	at := nameOf(l, udp)
	from, source := udpSocket(l)
	const namelen = unix.SizeofSockaddrInet4
	controllen := ControlSpace(16)
	m := keep(l, unix.Msghdr{Namelen: namelen})
	m.SetControllen(controllen)
	id := l.start(func(s *SQE) { s.PrepRecvmsgMultishot(udp, unsafe.Pointer(m), b.Group(), 0, 0) })

	receive := func(size int) Recvmsg {
		p.Helper()
		l.ok(func(s *SQE) {
			text := make([]byte, size)
			l.kept = append(l.kept, text)
			copy(text, "datagram")
			s.PrepSend(from, text, 0, 0)
			s.SetSendAddr(at.addr(), uint16(at.len))
		})
		cqe := l.of(id)
		bid, ok := cqe.BufferID()
		require.True(p, ok)
		require.True(p, cqe.More())
		got, ok := ParseRecvmsg(b.Bytes(bid, int(cqe.Res)), namelen, controllen)
		require.True(p, ok)
		b.Add(bid)
		b.Commit()
		return got
	}
	got := receive(8)
	require.Equal(p, "datagram", string(got.Payload))
	require.Equal(p, source.raw, *(*unix.RawSockaddrInet4)(unsafe.Pointer(&got.Name[0])))
	stamps := 0
	for m := range ControlMessages(got.Control) {
		require.EqualValues(p, unix.SCM_TIMESTAMPNS, m.Type)
		require.Len(p, m.Data, 16)
		stamps++
	}
	require.Equal(p, 1, stamps)
	require.Zero(p, got.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC))

	got = receive(200)
	require.NotZero(p, got.Flags&unix.MSG_TRUNC, "what did not fit into the buffer is lost")
	require.Len(p, got.Payload, 128-16-namelen-controllen)

	require.Zero(p, l.ok(func(s *SQE) { s.PrepCancel(id, 0) }))
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
	l.fails(syscall.EINVAL, func(s *SQE) { // without buffers to choose from
		s.PrepRecvmsg(udp, unsafe.Pointer(m), 0, IORING_RECV_MULTISHOT)
	})
}
