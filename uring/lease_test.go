package uring

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeRing takes the place of a BufRing: it remembers what was provided.
type fakeRing struct {
	book *bufBook
	got  []uint16
}

func (f *fakeRing) put(bid uint16) {
	f.got = append(f.got, bid)
	f.book.provided(bid)
}

func (f *fakeRing) Commit() {}

// fakeBook is a group of n buffers of size bytes, all provided.
func fakeBook(n, size int) (*bufBook, *fakeRing) {
	b := newBook(make([]byte, n*size), n, size)
	f := &fakeRing{book: &b}
	b.refill = f
	for i := range n {
		f.put(uint16(i))
	}
	f.got = nil
	return &b, f
}

// brought is a completion of res bytes in buffer bid.
func brought(bid uint16, res int32, flags CQEFlags) CQE {
	return CQE{Res: res, Flags: flags | IORING_CQE_F_BUFFER | CQEFlags(bid)<<IORING_CQE_BUFFER_SHIFT}
}

func TestLeaseIsReturnedOnce(t *testing.T) {
	b, ring := fakeBook(2, 8)
	l, err := b.oneLease(brought(1, 5, 0))
	require.NoError(t, err)
	require.Len(t, l.Bytes(), 5)
	require.Equal(t, 8, cap(l.Bytes()), "the rest of the buffer is the program's, too")
	require.Equal(t, uint16(1), l.BufferID())
	require.True(t, l.Valid())
	twin := l

	_, err = b.oneLease(brought(1, 5, 0))
	require.ErrorContains(t, err, "provided buffer 1, which the kernel has not got")
	require.True(t, l.Release())
	require.Equal(t, []uint16{1}, ring.got)
	require.False(t, l.Release())
	require.False(t, twin.Release())
	require.False(t, twin.Valid())
	require.Equal(t, []uint16{1}, ring.got)

	// The place of a lease is used again, and old ones are no good for it.
	next, err := b.oneLease(brought(1, 3, 0))
	require.NoError(t, err)
	require.Equal(t, l.slot, next.slot)
	require.False(t, l.Release())
	require.True(t, next.Valid())
	b.close()
	require.False(t, next.Valid())
	require.False(t, next.Release())

	require.False(t, Lease{}.Release())
	require.False(t, Lease{}.Valid())
	other, _ := fakeBook(2, 8)
	l, err = other.oneLease(brought(0, 1, 0))
	require.NoError(t, err)
	require.False(t, b.giveBack(l), "of another group")
	require.True(t, l.Valid())
}

func TestLeaseOfNothing(t *testing.T) {
	b, ring := fakeBook(2, 8)
	for _, cqe := range []CQE{{Res: 5}, {Res: -105}, {Flags: 1 << IORING_CQE_BUFFER_SHIFT}} {
		_, err := b.oneLease(cqe)
		require.Equal(t, ErrNoBuffer, err)
	}
	_, err := b.oneLease(brought(2, 1, 0))
	require.ErrorContains(t, err, "provided buffer 2: the group has 2")
	// The end of a stream, or an error, may come with a buffer, which has to go
	// back.
	for _, res := range []int32{0, -5} {
		l, err := b.oneLease(brought(0, res, 0))
		require.NoError(t, err)
		require.Empty(t, l.Bytes())
		require.True(t, l.Release())
	}
	require.Equal(t, []uint16{0, 0}, ring.got)
}

// TestLeasesOfABundle: the buffers of a bundle are those that were provided one
// after the other, whatever their numbers.
func TestLeasesOfABundle(t *testing.T) {
	b, ring := fakeBook(4, 8)
	for i := range b.mem {
		b.mem[i] = byte(i)
	}
	all, err := b.appendLeases(nil, brought(0, 32, 0))
	require.NoError(t, err)
	require.Len(t, all, 4)
	for _, i := range []int{2, 0, 3, 1} {
		require.True(t, b.giveBack(all[i]))
	}
	require.Equal(t, []uint16{2, 0, 3, 1}, ring.got)

	_, err = b.oneLease(brought(2, 20, 0))
	require.ErrorContains(t, err, "20 bytes in several provided buffers of 8 bytes")
	all, err = b.appendLeases(all[:0], brought(2, 20, 0))
	require.NoError(t, err)
	var ids []uint16
	var sizes []int
	for _, l := range all {
		ids = append(ids, l.BufferID())
		sizes = append(sizes, len(l.Bytes()))
		require.Equal(t, byte(l.BufferID()*8), l.Bytes()[0])
	}
	require.Equal(t, []uint16{2, 0, 3}, ids)
	require.Equal(t, []int{8, 8, 4}, sizes)

	_, err = b.appendLeases(nil, brought(1, 9, 0))
	require.ErrorContains(t, err, "9 bytes, 1 more than the provided buffers hold", "one is left")
	last, err := b.oneLease(brought(1, 8, 0))
	require.NoError(t, err, "nothing was leased by the refused one")
	require.True(t, last.Release())
	for _, l := range all {
		require.True(t, l.Release())
		require.False(t, l.Release())
	}
	_, err = b.appendLeases(nil, brought(1, 33, 0))
	require.ErrorContains(t, err, "33 bytes")
}

// TestLeasesOfIncrementalBuffers: a buffer goes back when the kernel and all of
// its leases are through with it.
func TestLeasesOfIncrementalBuffers(t *testing.T) {
	const more = IORING_CQE_F_BUF_MORE
	b, ring := fakeBook(2, 8)
	copy(b.mem, "abcdefgh")
	take := func(bid uint16, n int32, flags CQEFlags, want string) Lease {
		t.Helper()
		l, err := b.oneLease(brought(bid, n, flags))
		require.NoError(t, err)
		require.Equal(t, want, string(l.Bytes()))
		return l
	}
	one := take(0, 3, more, "abc")
	require.Equal(t, 3, cap(one.Bytes()), "the kernel writes behind it")
	two := take(0, 2, more, "de")
	require.True(t, one.Release())
	require.False(t, one.Release())
	require.Empty(t, ring.got, "the kernel has it")
	none := take(0, 0, more, "")
	last := take(0, 3, 0, "fgh")
	require.True(t, last.Release())
	require.True(t, none.Release())
	require.Empty(t, ring.got, "one lease is out")
	require.True(t, two.Release())
	require.Equal(t, []uint16{0}, ring.got)
	take(0, 3, more, "abc")

	// More leases than buffers, each with a place of its own.
	var all []Lease
	seen := map[uint32]bool{}
	for range 8 {
		flags := more
		if len(all) == 7 {
			flags = 0
		}
		l, err := b.oneLease(brought(1, 1, flags))
		require.NoError(t, err)
		all = append(all, l)
		require.False(t, seen[l.slot])
		seen[l.slot] = true
	}
	for _, l := range all {
		require.True(t, l.Release())
		require.False(t, l.Release())
	}
	require.Equal(t, []uint16{0, 1}, ring.got)

	// A bundle that ends in a buffer which the kernel goes on to fill.
	all, err := b.appendLeases(all[:0], brought(0, 5+4, more))
	require.NoError(t, err)
	require.Equal(t, "defgh", string(all[0].Bytes()), "behind what came before")
	require.Len(t, all[1].Bytes(), 4)
	require.Equal(t, 4, cap(all[1].Bytes()))
}

// FuzzLeases feeds any completions and returns to a group, and compares with a
// plain account of who has what.
func FuzzLeases(f *testing.F) {
	f.Add([]byte{0, 5, 1, 0x80, 0, 1, 9, 3, 0x81, 0})
	f.Add([]byte{0, 20, 1, 0x80, 0x81, 0x82, 0, 20, 1})
	f.Add([]byte{0, 2, 17, 0, 2, 17, 0, 4, 1, 0x80, 0x80, 0x81, 0x82})
	// More bytes than there are buffers for: the one that was provided last had a
	// next one, from before, and the search went round in a circle.
	f.Add([]byte("0\x14A\x80\x80\x820 \x01"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 256 {
			return // longer ones show nothing new
		}
		const n, size = 4, 8
		b, ring := fakeBook(n, size)
		var order []uint16 // what the kernel has, first out first
		for i := range uint16(n) {
			order = append(order, i)
		}
		var leases []Lease
		var out []bool
		for i := 0; i+2 < len(steps); {
			if steps[i]&0x80 != 0 {
				k := int(steps[i] & 0x7f)
				i++
				if k >= len(leases) {
					continue
				}
				ring.got = nil
				require.Equal(t, out[k], b.giveBack(leases[k]), "a lease counts once")
				out[k] = false
				order = append(order, ring.got...)
				continue
			}
			cqe := brought(uint16(steps[i]%8), int32(int8(steps[i+1])), CQEFlags(steps[i+2])&(IORING_CQE_F_BUF_MORE|IORING_CQE_F_BUFFER))
			i += 3
			before := len(leases)
			var err error
			leases, err = b.appendLeases(leases, cqe)
			if err != nil {
				require.Len(t, leases, before)
				continue
			}
			total := 0
			for _, l := range leases[before:] {
				out = append(out, true)
				total += len(l.Bytes())
				require.True(t, l.Valid())
				require.LessOrEqual(t, cap(l.Bytes()), size)
				if !b.bufs[l.BufferID()].kernels {
					order = remove(order, l.BufferID())
				}
			}
			require.Equal(t, int(max(cqe.Res, 0)), total)
		}
		seen := map[uint16]bool{}
		for _, bid := range order {
			require.False(t, seen[bid], "the kernel has buffer %d twice", bid)
			require.True(t, b.bufs[bid].kernels)
			seen[bid] = true
		}
		for bid := range uint16(n) {
			require.True(t, seen[bid] || b.bufs[bid].leases > 0, "buffer %d is lost", bid)
		}
	})
}

// remove returns the list without one element.
func remove(list []uint16, bid uint16) []uint16 {
	for i, v := range list {
		if v == bid {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

func TestLeasesAllocateNothing(t *testing.T) {
	b, _ := fakeBook(4, 8)
	ring := &onlyBook{b}
	b.refill = ring
	all := make([]Lease, 0, 4)
	next := uint16(0)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		l, err := b.oneLease(brought(next, 5, 0))
		if err != nil || !l.Release() {
			t.Error("not leased", err)
		}
		next = (next + 1) % 4
		all, err = b.appendLeases(all[:0], brought(next, 15, 0))
		if err != nil {
			t.Error(err)
		}
		for _, l := range all {
			l.Release()
		}
		next = (next + 2) % 4
	}))
}

// onlyBook provides buffers and remembers nothing.
type onlyBook struct{ book *bufBook }

func (o *onlyBook) put(bid uint16) { o.book.provided(bid) }
func (o *onlyBook) Commit()        {}

func BenchmarkLease(b *testing.B) {
	book, _ := fakeBook(64, 8)
	book.refill = &onlyBook{book}
	bid := uint16(0)
	for b.Loop() {
		l, err := book.oneLease(brought(bid, 5, 0))
		if err != nil || !book.giveBack(l) {
			b.Fatal(err)
		}
		bid = (bid + 1) % 64
	}
}
