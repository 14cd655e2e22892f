package uring

import (
	"bytes"
	"fmt"
	"math"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func newBufRing(t testing.TB, r *Ring, group uint16, entries, size int) *BufRing {
	t.Helper()
	testkit.NeedKernel(t, 5, 19, "PBUF_RING")
	b, err := NewBufRing(r, group, entries, size)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// recvInto receives once into a buffer of the group.
func recvInto(t testing.TB, r *Ring, fd int, b *BufRing) CQE {
	t.Helper()
	return submit1(t, r, func(sqe *SQE) {
		sqe.PrepRecv(fd, nil, 0, 0)
		sqe.Flags = IOSQE_BUFFER_SELECT
		sqe.SetBufGroup(b.Group())
	})
}

// TestRecvIntoProvidedBuffers uses up the buffers, and gives them back in
// another order.
func TestRecvIntoProvidedBuffers(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		b := newBufRing(t, r, 7, 2, 8)
		require.Equal(t, uint16(7), b.Group())
		require.Equal(t, 2, b.Entries())
		require.Equal(t, 8, b.Size())
		near, far := socketPair(t)

		var ids []uint16
		for _, text := range []string{"first", "overlong"} {
			write(t, far, text)
			cqe := recvInto(t, r, near, b)
			require.Equal(t, int32(len(text)), cqe.Res)
			bid, ok := cqe.BufferID()
			require.True(t, ok)
			require.NotContains(t, ids, bid)
			ids = append(ids, bid)
			require.Equal(t, text, string(b.Bytes(bid, int(cqe.Res))))
		}
		require.Equal(t, "first", string(b.Bytes(ids[0], 5)), "still there")

		write(t, far, "too long for one")
		cqe := recvInto(t, r, near, b)
		require.Equal(t, syscall.ENOBUFS, cqe.Errno())
		_, ok := cqe.BufferID()
		require.False(t, ok)

		b.Add(ids[1])
		require.Equal(t, syscall.ENOBUFS, recvIntoErrno(t, r, near, b), "added but not committed")
		b.Commit()
		cqe = recvInto(t, r, near, b)
		bid, _ := cqe.BufferID()
		require.Equal(t, ids[1], bid, "the only one")
		require.Equal(t, "too long", string(b.Bytes(bid, int(cqe.Res))), "cut to the buffer")

		b.Add(bid)
		b.Add(ids[0])
		b.Commit()
		cqe = recvInto(t, r, near, b)
		require.Equal(t, " for one", string(b.Bytes(bid, int(cqe.Res))))
		write(t, far, "x")
		cqe = recvInto(t, r, near, b)
		bid, _ = cqe.BufferID()
		require.Equal(t, ids[0], bid, "in the order of Add")
		require.Equal(t, "x", string(b.Bytes(bid, int(cqe.Res))))
	})
}

func recvIntoErrno(t testing.TB, r *Ring, fd int, b *BufRing) syscall.Errno {
	t.Helper()
	cqe := recvInto(t, r, fd, b)
	return cqe.Errno()
}

// TestProvidedBufferTailWraps adds more buffers than the 16-bit tail counts, in
// rings of several sizes, one of which the tail does not fit into evenly.
func TestProvidedBufferTailWraps(t *testing.T) {
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Close(zero)) }()
	for _, entries := range []int{1, 2, 8, 32} {
		t.Run(fmt.Sprint(entries), func(t *testing.T) {
			testkit.Watchdog(t, hang)
			r := newRing(t, 32, Params{})
			b := newBufRing(t, r, 1, entries, 4)
			var cqes [32]CQE
			next := 0
			for added := 0; added < 1<<16+100; added += entries {
				for range entries {
					sqe := r.SQ().Next()
					sqe.PrepRead(zero, nil, CurrentPosition)
					sqe.Flags = IOSQE_BUFFER_SELECT
					sqe.SetBufGroup(b.Group())
				}
				_, err := r.SubmitAndWait(uint32(entries), hang)
				require.NoError(t, err)
				require.Equal(t, entries, r.CQ().Reap(cqes[:]))
				for _, cqe := range cqes[:entries] {
					bid, ok := cqe.BufferID()
					if cqe.Res != 4 || !ok || int(bid) != next {
						t.Fatalf("after %d: %+v, want buffer %d", added, cqe, next)
					}
					next = (next + 1) % entries
					buf := b.Bytes(bid, 4)
					if !bytes.Equal(buf, []byte{0, 0, 0, 0}) {
						t.Fatalf("after %d: buffer %d not filled: %q", added, bid, buf)
					}
					copy(buf, "used")
					b.Add(bid)
				}
				b.Commit()
			}
			require.Less(t, b.tail, uint16(1<<15), "the tail is around")
		})
	}
}

func TestLargestBufRing(t *testing.T) {
	r := newRing(t, 1, Params{})
	b := newBufRing(t, r, math.MaxUint16, 1<<15, 1)
	near, far := socketPair(t)
	for i := range 3 {
		write(t, far, "x")
		cqe := recvInto(t, r, near, b)
		bid, ok := cqe.BufferID()
		require.True(t, ok)
		require.Equal(t, uint16(i), bid)
	}
}

func TestBufRingArguments(t *testing.T) {
	r := newRing(t, 1, Params{})
	testkit.NeedKernel(t, 5, 19, "PBUF_RING")
	for _, tt := range []struct {
		entries, size int
		text          string
	}{
		{0, 8, "of 0 entries: want a power of two up to 32768"},
		{-2, 8, "of -2 entries"},
		{3, 8, "of 3 entries"},
		{1 << 16, 8, "of 65536 entries"},
		{8, 0, "of 0 bytes"},
		{8, -1, "of -1 bytes"},
		{8, 1<<30 + 1, "of 1073741825 bytes"},
	} {
		b, err := NewBufRing(r, 1, tt.entries, tt.size)
		require.Nil(t, b)
		require.ErrorContains(t, err, tt.text)
	}

	b := newBufRing(t, r, 1, 2, 8)
	_, err := NewBufRing(r, 1, 2, 8)
	require.ErrorIs(t, err, syscall.EEXIST)
	require.ErrorContains(t, err, "buffer group 1")

	require.Panics(t, func() { b.Bytes(2, 0) }, "there are two")
	require.Panics(t, func() { b.Bytes(0, 9) }, "more than a buffer")
	require.Equal(t, 8, cap(b.Bytes(0, 1)), "no reach into the next one")
	require.Panics(t, func() { b.Add(2) })
	require.Equal(t, uint16(2), b.tail, "a refused one leaves no trace")
}

func TestBufRingClose(t *testing.T) {
	needRing(t)
	testkit.NeedKernel(t, 5, 19, "PBUF_RING")
	near, far := socketPair(t)
	r, err := New(1, nil)
	require.NoError(t, err)
	b, err := NewBufRing(r, 1, 2, 8)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close(), "a second time")
	write(t, far, "x")
	require.Equal(t, syscall.ENOBUFS, recvIntoErrno(t, r, near, b), "no such group any more")
	require.Zero(t, b.Entries())
	require.Panics(t, func() { b.Bytes(0, 1) })

	// The number of the group is free again, and so is the memory if the ring
	// goes first: its Close ends the group.
	b, err = NewBufRing(r, 1, 2, 8)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, b.Close())
	require.Nil(t, b.mem)
}

// TestBufRingOfAnotherThread keeps the memory, which the kernel still uses.
func TestBufRingOfAnotherThread(t *testing.T) {
	testkit.NeedKernel(t, 6, 0, "SINGLE_ISSUER")
	lockThread(t)
	r := newRing(t, 1, Params{Flags: IORING_SETUP_SINGLE_ISSUER})
	b := newBufRing(t, r, 1, 2, 8)
	elsewhere(func() {
		require.ErrorIs(t, b.Close(), syscall.EEXIST)
		_, err := NewBufRing(r, 2, 2, 8)
		require.ErrorIs(t, err, syscall.EEXIST)
	})
	near, far := socketPair(t)
	write(t, far, "hello")
	cqe := recvInto(t, r, near, b)
	bid, _ := cqe.BufferID()
	require.Equal(t, "hello", string(b.Bytes(bid, int(cqe.Res))))
}

// TestSpareBuffers gives the kernel the buffers that it did not get at first.
func TestSpareBuffers(t *testing.T) {
	testkit.NeedKernel(t, 5, 19, "PBUF_RING")
	r := newRing(t, 4, Params{})
	b := configured(t, r, BufRingConfig{Group: 1, Entries: 4, Size: 8, Spare: 3})
	near, far := socketPair(t)
	for want := range uint16(4) {
		write(t, far, "x")
		if want > 0 {
			cqe := recvInto(t, r, near, b)
			require.Equal(t, syscall.ENOBUFS, cqe.Errno())
			b.Add(want)
			b.Commit()
		}
		l := received(t, r, near, b)
		require.Equal(t, want, l.BufferID())
		require.Equal(t, "x", string(l.Bytes()))
	}
	for _, spare := range []int{-1, 5} {
		_, err := r.NewBufRing(BufRingConfig{Group: 2, Entries: 4, Size: 8, Spare: spare})
		require.ErrorContains(t, err, "spare")
	}
	none := configured(t, r, BufRingConfig{Group: 3, Entries: 2, Size: 8, Spare: 2})
	write(t, far, "y")
	cqe := recvInto(t, r, near, none)
	require.Equal(t, syscall.ENOBUFS, cqe.Errno())
}

// TestMultishotRecv receives until the buffers run out, and then until the end.
func TestMultishotRecv(t *testing.T) {
	testkit.NeedKernel(t, 6, 0, "multishot receive")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		b := newBufRing(t, r, 3, 4, 8)
		near, far := socketPair(t)
		arm := func() {
			sqe := next(t, r)
			sqe.PrepRecvMultishot(near, b.Group(), 0, 0)
			sqe.UserData = 11
			_, err := r.Submit()
			require.NoError(t, err)
		}
		var ids []uint16
		receive := func(text string) {
			t.Helper()
			write(t, far, text)
			cqe := one(t, r)
			require.Equal(t, uint64(11), cqe.UserData)
			require.True(t, cqe.More())
			bid, ok := cqe.BufferID()
			require.True(t, ok)
			require.Equal(t, text, string(b.Bytes(bid, int(cqe.Res))))
			ids = append(ids, bid)
		}
		arm()
		for _, text := range []string{"one", "two", "three", "four"} {
			receive(text)
		}
		write(t, far, "five")
		cqe := one(t, r)
		require.Equal(t, syscall.ENOBUFS, cqe.Errno())
		require.False(t, cqe.More(), "it has ended")

		for _, bid := range ids {
			b.Add(bid)
		}
		b.Commit()
		arm()
		cqe = one(t, r)
		require.True(t, cqe.More())
		bid, _ := cqe.BufferID()
		require.Equal(t, "five", string(b.Bytes(bid, int(cqe.Res))), "nothing was lost")
		receive("six")

		require.NoError(t, unix.Shutdown(far, unix.SHUT_WR))
		cqe = one(t, r)
		require.Zero(t, cqe.Res, "the end of the stream")
		require.False(t, cqe.More())
	})
}

func TestProvidingAllocatesNothing(t *testing.T) {
	r := newRing(t, 4, Params{})
	b := newBufRing(t, r, 1, 2, 8)
	near, far := socketPair(t)
	text := []byte("hello")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		r.SQ().Next().PrepSend(far, text, 0, 0)
		sqe := r.SQ().Next()
		sqe.PrepRecv(near, nil, 0, 0)
		sqe.Flags = IOSQE_BUFFER_SELECT
		sqe.SetBufGroup(b.Group())
		if _, err := r.SubmitAndWait(2, -1); err != nil {
			t.Error(err)
		}
		for cqe := range r.CQ().All() {
			if bid, ok := cqe.BufferID(); ok {
				if !bytes.Equal(b.Bytes(bid, int(cqe.Res)), text) {
					t.Error("other bytes")
				}
				b.Add(bid)
				b.Commit()
			}
		}
	}))
}
