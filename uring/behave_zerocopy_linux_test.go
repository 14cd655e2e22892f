package uring

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// zeroCopy submits a send that must take n bytes, and returns its notification.
func zeroCopy(l *lab, n int32, fill func(*SQE)) *CQE {
	l.p.Helper()
	id := l.start(fill)
	cqe := l.of(id)
	require.Equal(l.p, n, cqe.Res)
	require.True(l.p, cqe.More())
	require.False(l.p, cqe.Notif())
	notif := l.of(id)
	require.True(l.p, notif.Notif())
	require.False(l.p, notif.More())
	require.Zero(l.p, notif.Errno())
	return notif
}

// TestZeroCopySend completes with the count and then with the notification that
// lets the memory go.
func TestZeroCopySend(t *testing.T) {
	p := prove(t, IORING_OP_SEND_ZC)
	l := p.ring(8, Params{})
	a, b := tcpConnection(l)
	text, buf := []byte("zero copy"), make([]byte, 64)
	send := func(rs RecvSendFlags) func(*SQE) { return func(s *SQE) { s.PrepSendZC(a, text, 0, rs) } }
	arrives := func(want string) {
		p.Helper()
		require.Equal(p, len(want), l.ok(func(s *SQE) { s.PrepRecv(b, buf[:len(want)], unix.MSG_WAITALL, 0) }))
		require.Equal(p, want, string(buf[:len(want)]))
	}
	require.False(p, zeroCopy(l, 9, send(0)).Copied())
	arrives("zero copy")

	needKernel(p, Version{6, 2}, "report of copies")
	id := l.start(send(IORING_SEND_ZC_REPORT_USAGE))
	require.True(p, l.of(id).More())
	arrives("zero copy")
	require.True(p, l.of(id).Copied(), "the loopback device copies, and says so")

	buffers(l, text)
	zeroCopy(l, 4, func(s *SQE) { s.PrepSendZCFixed(a, text[5:], 0, 0, 0) })
	arrives("copy")
	// Whether a failure has a notification is told by its flags.
	failure := func(want syscall.Errno, fill func(*SQE)) (notified bool) {
		p.Helper()
		id := l.start(fill)
		cqe := l.of(id)
		require.Equal(p, want, cqe.Errno())
		if !cqe.More() {
			return false
		}
		require.True(p, l.of(id).Notif())
		return true
	}
	require.False(p, failure(syscall.EINVAL, func(s *SQE) { send(0)(s); s.Addr3 = 1 }), "refused at the first look")
	stranger := []byte("stranger")
	failure(syscall.EFAULT, func(s *SQE) { s.PrepSendZCFixed(a, stranger, 0, 0, 0) })
	failure(syscall.EBADF, func(s *SQE) { s.PrepSendZC(1<<20, text, 0, 0) })
	require.NoError(p, unix.Shutdown(a, unix.SHUT_WR))
	failure(syscall.EPIPE, func(s *SQE) { s.PrepSendZC(a, text, unix.MSG_NOSIGNAL, 0) })
	l.quiet()
	near, _ := socketPair(p)
	failure(syscall.EOPNOTSUPP, func(s *SQE) { s.PrepSendZC(near, text, 0, 0) }) // a Unix socket cannot
}

// TestZeroCopyDatagram has a destination.
func TestZeroCopyDatagram(t *testing.T) {
	needKernel(t, Version{6, 0}, "SEND_ZC")
	p := explore(t)
	l := p.ring(8, Params{})
	udp, at := udpSocket(l)
	from, _ := udpSocket(l)
	text, buf := []byte("datagram"), make([]byte, 16)
	id := l.start(func(s *SQE) {
		s.PrepSendZC(from, text, 0, 0)
		s.SetSendAddr(at.addr(), uint16(at.len))
	})
	require.Equal(p, int32(8), l.of(id).Res)
	require.Equal(p, 8, l.ok(func(s *SQE) { s.PrepRecv(udp, buf, 0, 0) }))
	require.True(p, l.of(id).Notif())
}

// TestZeroCopyMessage is a message without a copy.
func TestZeroCopyMessage(t *testing.T) {
	p := prove(t, IORING_OP_SENDMSG_ZC)
	l := p.ring(8, Params{})
	a, b := tcpConnection(l)
	buf := make([]byte, 16)
	out := message(l, []byte("two "), []byte("pieces"))
	zeroCopy(l, 10, func(s *SQE) { s.PrepSendmsgZC(a, unsafe.Pointer(out), 0, 0) })
	require.Equal(p, 10, l.ok(func(s *SQE) { s.PrepRecv(b, buf, 0, 0) }))
	require.Equal(p, "two pieces", string(buf[:10]))
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepSendmsgZC(a, unsafe.Pointer(out), 0, 0); s.Addr3 = 1 })

	needKernel(p, Version{6, 15}, "messages from registered buffers")
	mem := []byte("registered memory")
	buffers(l, mem)
	out = message(l, mem[11:], mem[:3])
	zeroCopy(l, 9, func(s *SQE) {
		s.PrepSendmsgZC(a, unsafe.Pointer(out), 0, IORING_RECVSEND_FIXED_BUF)
	})
	require.Equal(p, 9, l.ok(func(s *SQE) { s.PrepRecv(b, buf, 0, 0) }))
	require.Equal(p, "memoryreg", string(buf[:9]))
}

// TestZeroCopyReceiveWithoutAQueue is refused without a queue of a network card, which this
// test cannot have: it needs one that splits headers from payload.
func TestZeroCopyReceiveWithoutAQueue(t *testing.T) {
	p := proveRefusal(t, IORING_OP_RECV_ZC)
	needKernel(p, Version{6, 15}, "RECV_ZC")
	lockThread(p)
	a, _ := socketPair(p)
	l := p.ring(4, Params{Flags: IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN})
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepRecvZC(a, 0, 0, 0) }) // no such queue
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepRecvZC(a, 0, 0, 0); s.Ioprio = 0 })
}
