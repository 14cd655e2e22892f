package uring

import (
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestProvideAndRemoveBuffers is the older way to give a group its buffers, by
// requests.
func TestProvideAndRemoveBuffers(t *testing.T) {
	p := prove(t, IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS)
	l := p.ring(8, Params{})
	const size, groupID = 8, 9
	mem := make([]byte, 4*size)
	l.kept = append(l.kept, mem)
	provide := func(n int, first uint16) func(*SQE) {
		return func(s *SQE) { s.PrepProvideBuffers(unsafe.Pointer(&mem[int(first-10)*size]), size, n, groupID, first) }
	}
	a, b := socketPair(p)
	recv := flagged(IOSQE_BUFFER_SELECT, func(s *SQE) { s.PrepRecv(a, nil, 0, 0); s.SetBufGroup(groupID) })

	write(p, b, "one")
	l.fails(syscall.ENOBUFS, recv) // no such group yet
	require.Zero(p, l.ok(provide(4, 10)))
	cqe := l.do(recv)
	bid, ok := cqe.BufferID()
	require.True(p, ok)
	require.Contains(p, []uint16{10, 11, 12, 13}, bid)
	require.Equal(p, "one", string(mem[int(bid-10)*size:][:cqe.Res]))
	write(p, b, "longer than a buffer")
	require.Equal(p, int32(size), l.do(recv).Res)

	require.Equal(p, 2, l.ok(func(s *SQE) { s.PrepRemoveBuffers(10, groupID) }), "all that are left")
	l.fails(syscall.ENOBUFS, recv)
	require.Zero(p, l.ok(provide(1, bid)))
	cqe = l.do(recv)
	again, _ := cqe.BufferID()
	require.Equal(p, bid, again)

	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepRemoveBuffers(1, 77) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepRemoveBuffers(0, groupID) })
	l.fails(syscall.E2BIG, func(s *SQE) { provide(0, 10)(s) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepProvideBuffers(unsafe.Pointer(&mem[0]), size, 2, groupID, 65535) })
	l.fails(syscall.EFAULT, func(s *SQE) { provide(1, 10)(s); s.Addr = ^uint64(0) - 100 })
	group(l, 8, 2, size)
	l.fails(syscall.EINVAL, func(s *SQE) { // a ring of buffers is filled without requests
		s.PrepProvideBuffers(unsafe.Pointer(&mem[0]), size, 1, 8, 0)
	})
}

// TestRecvBundle fills several buffers with one completion.
func TestRecvBundle(t *testing.T) {
	needKernel(t, Version{6, 10}, "bundles")
	p := explore(t)
	l := p.ring(8, Params{})
	require.NotZero(p, l.Features()&IORING_FEAT_RECVSEND_BUNDLE)
	b := group(l, 2, 8, 4)
	near, far := socketPair(p)
	var at uint16 // the buffer that is next, as they are used in their order
	collect := func(want string, next func() *CQE) (longest int) {
		p.Helper()
		for got := ""; got != want; {
			cqe := next()
			require.Positive(p, cqe.Res)
			first, ok := cqe.BufferID()
			require.True(p, ok)
			require.Equal(p, at, first)
			longest = max(longest, int(cqe.Res))
			for left := int(cqe.Res); left > 0; at = (at + 1) % 8 {
				n := min(left, b.Size())
				got += string(b.Bytes(at, n))
				left -= n
			}
			require.Contains(p, want, got)
		}
		return longest
	}
	write(p, far, "0123456789")
	// How many it fills at once is up to the kernel.
	longest := collect("0123456789", func() *CQE {
		return l.do(flagged(IOSQE_BUFFER_SELECT, func(s *SQE) {
			s.PrepRecv(near, nil, 0, IORING_RECVSEND_BUNDLE)
			s.SetBufGroup(b.Group())
		}))
	})
	require.Greater(p, longest, b.Size())

	id := l.start(func(s *SQE) { s.PrepRecvMultishot(near, b.Group(), 0, IORING_RECVSEND_BUNDLE) })
	write(p, far, "abcdef")
	collect("abcdef", func() *CQE {
		cqe := l.of(id)
		require.True(p, cqe.More())
		return cqe
	})
	require.NoError(p, unix.Shutdown(far, unix.SHUT_WR))
	require.Zero(p, l.of(id).Res)
}

// TestSendBundle sends all the buffers of a group, in their order, with one
// request.
func TestSendBundle(t *testing.T) {
	needKernel(t, Version{6, 10}, "bundles")
	p := explore(t)
	l := p.ring(8, Params{})
	b := group(l, 2, 4, 4)
	for i, text := range []string{"one,", "two,", "six,", "ten."} {
		copy(b.Bytes(uint16(i), 4), text)
	}
	near, far := socketPair(p)
	send := flagged(IOSQE_BUFFER_SELECT, func(s *SQE) {
		s.PrepSend(near, nil, 0, IORING_RECVSEND_BUNDLE)
		s.SetBufGroup(b.Group())
	})
	cqe := l.do(send)
	require.Equal(p, int32(16), cqe.Res)
	first, ok := cqe.BufferID()
	require.True(p, ok)
	require.Zero(p, first)
	buf := make([]byte, 32)
	n, err := unix.Read(far, buf)
	require.NoError(p, err)
	require.Equal(p, "one,two,six,ten.", string(buf[:n]))
	l.fails(syscall.ENOBUFS, send)
}

// TestMultishotRecvWithoutBuffers is refused: there is nowhere to put the second
// message.
func TestMultishotRecvWithoutBuffers(t *testing.T) {
	needKernel(t, Version{6, 0}, "multishot receive")
	p := explore(t)
	l := p.ring(4, Params{})
	a, _ := socketPair(p)
	buf := make([]byte, 8)
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepRecv(a, buf, 0, IORING_RECV_MULTISHOT) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepRecvMultishot(a, 0, unix.MSG_WAITALL, 0) })
}

// TestIncrementalBuffer fills one buffer bit by bit, and says when it is done
// with it.
func TestIncrementalBuffer(t *testing.T) {
	needKernel(t, Version{6, 12}, "IOU_PBUF_RING_INC")
	p := explore(t)
	l := p.ring(4, Params{})
	page := os.Getpagesize()
	ring, err := mapPrivate(page)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Munmap(ring) })
	mem, err := mapPrivate(page)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Munmap(mem) })
	reg := keep(l, BufReg{RingAddr: num(&ring[0]), RingEntries: 2, Bgid: 4, Flags: IOU_PBUF_RING_INC})
	_, err = l.Register(IORING_REGISTER_PBUF_RING, unsafe.Pointer(reg), 1)
	require.NoError(p, err)
	entries := unsafe.Slice((*Buf)(unsafe.Pointer(&ring[0])), 2)
	entries[0].Addr, entries[0].Len, entries[0].Bid = num(&mem[0]), 8, 21
	entries[0].Resv = 1 // the tail; nothing is in flight that reads it

	a, b := socketPair(p)
	recv := flagged(IOSQE_BUFFER_SELECT, func(s *SQE) { s.PrepRecv(a, nil, 0, 0); s.SetBufGroup(4) })
	write(p, b, "abc")
	cqe := l.do(recv)
	require.Equal(p, int32(3), cqe.Res)
	require.True(p, cqe.BufMore(), "five bytes are left")
	write(p, b, "defghijk")
	cqe = l.do(recv)
	require.Equal(p, int32(5), cqe.Res)
	require.False(p, cqe.BufMore())
	bid, _ := cqe.BufferID()
	require.EqualValues(p, 21, bid)
	require.Equal(p, "abcdefgh", string(mem[:8]))
	l.fails(syscall.ENOBUFS, recv)

	_, err = l.Register(IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&BufReg{Bgid: 4}), 1)
	require.NoError(p, err)
}
