package uring

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// configured returns a group that is closed with the test.
func configured(t testing.TB, r *Ring, c BufRingConfig) *BufRing {
	t.Helper()
	b, err := r.NewBufRing(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// received receives once and returns the lease of what has come.
func received(t testing.TB, r *Ring, fd int, b *BufRing) Lease {
	t.Helper()
	l, err := b.Lease(submit1(t, r, func(s *SQE) { Recv(s, FD(fd), b.Selection(), 0, 0) }))
	require.NoError(t, err)
	return l
}

// TestLeases receives into buffers of both kinds of memory and returns them in
// another order.
func TestLeases(t *testing.T) {
	for _, flags := range []PbufFlags{0, IOU_PBUF_RING_MMAP} {
		t.Run(flags.String(), func(t *testing.T) {
			needKernel(t, Version{6, 8}, "PBUF_STATUS")
			testkit.Watchdog(t, hang)
			r := newRing(t, 4, Params{})
			b := configured(t, r, BufRingConfig{Group: 3, Entries: 2, Size: 8, Flags: flags})
			near, far := socketPair(t)
			available := func(want int) {
				t.Helper()
				n, err := b.Available()
				require.NoError(t, err)
				require.Equal(t, want, n)
			}
			available(2)
			write(t, far, "one")
			one := received(t, r, near, b)
			write(t, far, "two")
			two := received(t, r, near, b)
			available(0)
			write(t, far, "three")
			cqe := recvInto(t, r, near, b)
			_, err := b.Lease(cqe)
			require.Equal(t, ErrNoBuffer, err)
			require.Equal(t, syscall.ENOBUFS, cqe.Errno())

			require.Equal(t, "two", string(two.Bytes()))
			require.True(t, b.Return(two))
			require.False(t, b.Return(two))
			available(0)
			b.Commit()
			available(1)
			three := received(t, r, near, b)
			require.Equal(t, two.BufferID(), three.BufferID())
			require.False(t, two.Release(), "the buffer is another lease's")
			require.Equal(t, "one", string(one.Bytes()))
			require.True(t, one.Release())
			require.True(t, three.Release())
			available(2)
			head, err := b.Head()
			require.NoError(t, err)
			require.Equal(t, uint16(3), head)

			write(t, far, "last")
			last := received(t, r, near, b)
			require.NoError(t, b.Close())
			require.False(t, last.Release(), "it has no group any more")
			_, err = b.Available()
			require.ErrorIs(t, err, syscall.ENOENT)
			require.ErrorContains(t, err, "buffer group 3")
		})
	}
}

// TestBundleLeases receives more than one buffer holds with each completion, and
// gives buffers back in any order.
func TestBundleLeases(t *testing.T) {
	needKernel(t, Version{6, 10}, "RECVSEND_BUNDLE")
	for _, flags := range []PbufFlags{0, IOU_PBUF_RING_INC} {
		t.Run(flags.String(), func(t *testing.T) {
			needKernel(t, Version{6, 12}, "PBUF_RING_INC")
			testkit.Watchdog(t, hang)
			r := newRing(t, 4, Params{})
			b := configured(t, r, BufRingConfig{Group: 1, Entries: 8, Size: 16, Flags: flags})
			near, far := tcpPair(t)
			random := rand.New(rand.NewSource(1))
			var leases []Lease
			bundles := 0
			for range 200 {
				text := strings.Repeat(string(rune('a'+random.Intn(26))), 1+random.Intn(90))
				write(t, far, text)
				got := ""
				for len(got) < len(text) {
					cqe := submit1(t, r, func(s *SQE) { Recv(s, FD(near), b.Selection(), 0, IORING_RECVSEND_BUNDLE) })
					require.Zero(t, cqe.Errno())
					before := len(leases)
					var err error
					leases, err = b.AppendLeases(leases, cqe)
					require.NoError(t, err)
					for _, l := range leases[before:] {
						got += string(l.Bytes())
					}
					if len(leases)-before > 1 {
						bundles++
					}
					// Return all but a few, in any order.
					random.Shuffle(len(leases), func(i, j int) { leases[i], leases[j] = leases[j], leases[i] })
					for len(leases) > 2 {
						require.True(t, b.Return(leases[len(leases)-1]))
						leases = leases[:len(leases)-1]
					}
					b.Commit()
				}
				require.Equal(t, text, got)
			}
			require.NotZero(t, bundles)
		})
	}
}

// TestIncrementalLeases lets one multishot receive fill buffers bit by bit.
func TestIncrementalLeases(t *testing.T) {
	needKernel(t, Version{6, 12}, "PBUF_RING_INC")
	for _, flags := range []PbufFlags{IOU_PBUF_RING_INC, IOU_PBUF_RING_INC | IOU_PBUF_RING_MMAP} {
		t.Run(flags.String(), func(t *testing.T) {
			testkit.Watchdog(t, hang)
			r := newRing(t, 4, Params{})
			b := configured(t, r, BufRingConfig{Group: 1, Entries: 2, Size: 64, Flags: flags})
			near, far := socketPair(t)
			arm := func() {
				Recv(next(t, r), FD(near), b.Selection(), 0, IORING_RECV_MULTISHOT)
				_, err := r.Submit()
				require.NoError(t, err)
			}
			arm()
			var leases []Lease
			inOne := map[uint16]int{}
			for i := range 100 {
				text := fmt.Sprintf("message %d", i)
				write(t, far, text)
				got := ""
				for cqe, err := range r.WaitCompletions(1, hang) {
					require.NoError(t, err)
					if cqe.Errno() == syscall.ENOBUFS {
						arm()
						continue
					}
					l, err := b.Lease(cqe)
					require.NoError(t, err)
					got += string(l.Bytes())
					require.Equal(t, text[:len(got)], got)
					inOne[l.BufferID()]++
					if leases = append(leases, l); len(leases) == 3 {
						require.True(t, leases[0].Release())
						require.False(t, leases[0].Release())
						leases = leases[1:]
					}
					if !cqe.More() {
						arm()
					}
					if len(got) == len(text) {
						break
					}
				}
			}
			require.Greater(t, inOne[0], 20, "many messages went into one buffer")
			require.Equal(t, 2, len(inOne))
		})
	}
}

// TestMinLeft: a buffer with less room than that is not filled further.
func TestMinLeft(t *testing.T) {
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	needKernel(t, Version{6, 12}, "PBUF_RING_INC")
	_, err := r.NewBufRing(BufRingConfig{Group: 9, Entries: 2, Size: 16, MinLeft: 8})
	require.ErrorIs(t, err, syscall.EINVAL, "without INC")
	b, err := r.NewBufRing(BufRingConfig{Group: 1, Entries: 2, Size: 16, Flags: IOU_PBUF_RING_INC, MinLeft: 8})
	if err != nil {
		require.ErrorIs(t, err, syscall.EINVAL)
		needKernel(t, Version{7, 0}, "MIN_LEFT") // some before have it
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	near, far := socketPair(t)
	write(t, far, "0123")
	first := received(t, r, near, b)
	write(t, far, "456789")
	second := received(t, r, near, b)
	require.Equal(t, first.BufferID(), second.BufferID())
	require.True(t, first.Release())
	require.False(t, b.book.bufs[0].kernels, "6 bytes are left")
	require.True(t, second.Release())
	write(t, far, "abc")
	require.Equal(t, uint16(1), received(t, r, near, b).BufferID())
}

func TestBufRingOfUnknownKind(t *testing.T) {
	r := newRing(t, 1, Params{})
	_, err := r.NewBufRing(BufRingConfig{Group: 4, Entries: 2, Size: 16, Flags: 1 << 15})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "registering buffer group 4")
}

// TestBufRingSizes are the smallest and the largest.
func TestBufRingSizes(t *testing.T) {
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	near, far := socketPair(t)
	for _, c := range []BufRingConfig{
		{Entries: 1, Size: 1},
		{Entries: 1, Size: 1 << 30, Flags: IOU_PBUF_RING_MMAP},
		{Entries: 1 << 15, Size: 1, Flags: IOU_PBUF_RING_MMAP},
		{Entries: 1 << 15, Size: 4 << 10},
	} {
		c.Group = math.MaxUint16
		if c.Flags&IOU_PBUF_RING_MMAP != 0 {
			_, err := r.NewBufRing(c)
			require.ErrorContains(t, err, "buffer group 65535 with IOU_PBUF_RING_MMAP: want at most 2047")
			c.Group = 2047
		}
		b, err := r.NewBufRing(c)
		require.NoError(t, err, "%+v", c)
		write(t, far, "x")
		l := received(t, r, near, b)
		require.Equal(t, "x", string(l.Bytes()))
		require.Equal(t, c.Size, cap(l.Bytes()))
		require.True(t, l.Release())
		require.NoError(t, b.Close())
	}
}

// TestBufGroup is the older kind of provided buffers, with the number of the
// buffer in the completion, which iou lost.
func TestBufGroup(t *testing.T) {
	needKernel(t, Version{5, 7}, "PROVIDE_BUFFERS")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	for _, c := range [][2]int{{0, 8}, {1 << 16, 8}, {2, 0}, {2, MaxFixedBuf + 1}, {-1, 8}} {
		_, err := NewBufGroup(1, c[0], c[1])
		require.ErrorContains(t, err, "want 1 to 65535", "%v", c)
	}
	g, err := NewBufGroup(5, 3, 8)
	require.NoError(t, err)
	near, far := socketPair(t)
	receive := func(text string) (Lease, CQE, error) {
		write(t, far, text)
		cqe := submit1(t, r, func(s *SQE) { Recv(s, FD(near), g.Selection(), 0, 0) })
		l, err := g.Lease(cqe)
		return l, cqe, err
	}
	_, cqe, err := receive("0")
	require.Equal(t, ErrNoBuffer, err)
	require.Equal(t, syscall.ENOBUFS, cqe.Errno())

	cqe = submit1(t, r, g.Provide)
	require.Zero(t, cqe.Errno())
	var leases []Lease
	for _, want := range []string{"0one", "two", "three"} {
		l, _, err := receive(strings.TrimPrefix(want, "0"))
		require.NoError(t, err)
		require.Equal(t, want, string(l.Bytes()))
		leases = append(leases, l)
	}
	require.False(t, leases[1].Release(), "it takes an entry")
	giveBack := func(l Lease) (bool, CQE) {
		var was bool
		cqe := submit1(t, r, func(s *SQE) { was = g.Return(s, l) })
		require.Zero(t, cqe.Errno())
		return was, cqe
	}
	was, cqe := giveBack(leases[1])
	require.True(t, was)
	require.False(t, cqe.Filler())
	was, cqe = giveBack(leases[1])
	require.False(t, was)
	require.True(t, cqe.Filler())
	l, _, err := receive("again")
	require.NoError(t, err)
	require.Equal(t, leases[1].BufferID(), l.BufferID())
	require.Equal(t, "three", string(leases[2].Bytes()))
	_, cqe, err = receive("none left")
	require.Equal(t, ErrNoBuffer, err)
	require.Equal(t, syscall.ENOBUFS, cqe.Errno())

	for _, l := range []Lease{leases[0], leases[2], l} {
		was, _ := giveBack(l)
		require.True(t, was)
	}
	cqe = submit1(t, r, g.Remove)
	require.Equal(t, int32(3), cqe.Res)
	cqe = submit1(t, r, g.Remove)
	require.True(t, cqe.Res == 0 || cqe.Errno() == syscall.ENOENT, "there are none: %v", cqe.Res)
	cqe = submit1(t, r, g.Provide)
	require.Zero(t, cqe.Errno(), "all over again")
}

// TestProvidingEndsLeases: a group that was provided anew while some of its
// buffers were leased let those leases be returned, so that the kernel had the
// buffers twice.
func TestProvidingEndsLeases(t *testing.T) {
	needKernel(t, Version{5, 7}, "PROVIDE_BUFFERS")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	g, err := NewBufGroup(5, 2, 8)
	require.NoError(t, err)
	near, far := socketPair(t)
	require.Zero(t, submit1(t, r, g.Provide).Res)
	write(t, far, "one")
	old, err := g.Lease(submit1(t, r, func(s *SQE) { Recv(s, FD(near), g.Selection(), 0, 0) }))
	require.NoError(t, err)
	require.Equal(t, int32(1), submit1(t, r, g.Remove).Res)
	require.True(t, old.Valid(), "what is leased stays leased")

	require.Zero(t, submit1(t, r, g.Provide).Res)
	require.False(t, old.Valid(), "the kernel has the buffer again")
	require.Equal(t, FillerUserData, submit1(t, r, func(s *SQE) { require.False(t, g.Return(s, old)) }).UserData)
	require.Equal(t, int32(2), submit1(t, r, g.Remove).Res)

	require.Zero(t, submit1(t, r, g.Provide).Res)
	write(t, far, "two")
	l, err := g.Lease(submit1(t, r, func(s *SQE) { Recv(s, FD(near), g.Selection(), 0, 0) }))
	require.NoError(t, err)
	require.Equal(t, "two", string(l.Bytes()))
	require.Zero(t, submit1(t, r, func(s *SQE) { require.True(t, g.Return(s, l)) }).Res)
	require.Equal(t, int32(2), submit1(t, r, g.Remove).Res, "all are back, each once")
}

func TestLeasingAllocatesNothing(t *testing.T) {
	needKernel(t, Version{5, 19}, "PBUF_RING")
	r := newRing(t, 4, Params{})
	b := newBufRing(t, r, 1, 2, 8)
	near, far := socketPair(t)
	text := []byte("hello")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := unix.Write(far, text); err != nil {
			t.Error(err)
		}
		Recv(r.SQ().Next(), FD(near), b.Selection(), 0, 0)
		for cqe, err := range r.WaitCompletions(1, -1) {
			if err != nil {
				t.Error(err)
			}
			l, err := b.Lease(cqe)
			if err != nil || !bytes.Equal(l.Bytes(), text) || !l.Release() {
				t.Error("not leased", err)
			}
			break
		}
	}))
}
