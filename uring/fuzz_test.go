package uring

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// FuzzCompletions puts arbitrary bytes into the queue of each kind of ring, with
// an arbitrary head and tail, and reads it by every method: none may read beyond
// the queue, go on for ever, deliver a filler, or count what it does not
// deliver; and all must agree.
func FuzzCompletions(f *testing.F) {
	slot := func(userData uint64, flags CQEFlags) []byte {
		b := binary.NativeEndian.AppendUint64(nil, userData)
		b = binary.NativeEndian.AppendUint32(b, 0)
		return binary.NativeEndian.AppendUint32(b, uint32(flags))
	}
	f.Add(uint8(0), uint32(0), uint8(2), append(slot(1, 0), slot(2, IORING_CQE_F_MORE)...))
	f.Add(uint8(1), ^uint32(0), uint8(3), append(slot(1, 0), slot(2, 0)...))
	f.Add(uint8(2), uint32(3), uint8(4), append(slot(1, IORING_CQE_F_32), slot(2, IORING_CQE_F_SKIP)...))
	f.Add(uint8(2), ^uint32(0)-2, uint8(9), append(slot(1, IORING_CQE_F_SKIP), slot(2, IORING_CQE_F_32|IORING_CQE_F_SKIP)...))
	f.Fuzz(func(t *testing.T, kind uint8, head uint32, ready uint8, content []byte) {
		const entries = 4
		shift, mixed := uint32(0), kind%3 == 2
		if kind%3 == 1 {
			shift = 1
		}
		open := func() *CompletionQueue {
			q, _ := fakeCQ(entries, head, shift)
			q.mixed = mixed
			mem := unsafe.Slice((*byte)(unsafe.Pointer(&q.cqes[0])), len(q.cqes)*int(unsafe.Sizeof(CQE{})))
			copy(mem, content)
			*q.ktail = head + uint32(ready)%(entries+1)
			return q
		}
		var byAll []CQE32
		q := open()
		want := q.Ready()
		for cqe := range q.All32() {
			byAll = append(byAll, cqe)
			require.LessOrEqual(t, len(byAll), entries)
			if mixed {
				require.False(t, cqe.Skip())
			}
		}
		require.Len(t, byAll, int(want))
		require.Zero(t, q.Ready())
		require.LessOrEqual(t, *q.ktail-q.head, uint32(1), "no more than half of a completion is left")

		var dst32 [entries + 1]CQE32
		q = open()
		if cqe, ok := q.Peek32(); ok {
			require.Equal(t, byAll[0], cqe)
		}
		require.Equal(t, len(byAll), q.Reap32(dst32[:]))
		require.Equal(t, byAll, append([]CQE32(nil), dst32[:len(byAll)]...))

		var dst [entries + 1]CQE
		q = open()
		if cqe, ok := q.Peek(); ok {
			require.Equal(t, byAll[0].CQE, cqe)
		}
		require.Equal(t, len(byAll), q.Reap(dst[:]))
		i := 0
		for cqe := range open().All() {
			require.Equal(t, byAll[i].CQE, cqe)
			require.Equal(t, dst[i], cqe)
			i++
		}
		require.Equal(t, len(byAll), i)
		for _, cqe := range byAll {
			_ = cqe.Flags.String()
			_, has := cqe.BufferID()
			require.Equal(t, cqe.Flags&IORING_CQE_F_BUFFER != 0, has)
			require.LessOrEqual(t, int32(cqe.Errno()), int32(maxErrno))
		}
	})
}
