package uring

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sparseFiles gives the ring a table of n empty slots.
func sparseFiles(t testing.TB, r *Ring, n uint32) {
	t.Helper()
	reg := RsrcRegister{Nr: n, Flags: IORING_RSRC_REGISTER_SPARSE}
	_, err := r.Register(IORING_REGISTER_FILES2, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	require.NoError(t, err)
}

// results submits the entry that fill makes and returns the results of all its
// completions: a zero-copy send that fails has two.
func results(t testing.TB, r *Ring, fill func(s *SQE)) []syscall.Errno {
	t.Helper()
	fill(next(t, r))
	var errs []syscall.Errno
	for more := true; more; {
		_, err := r.SubmitAndWait(1, hang)
		require.NoError(t, err)
		for cqe := range r.CQ().All() {
			errs = append(errs, cqe.Errno())
			more = cqe.More()
		}
	}
	return errs
}

// TestKernelTakesNoSlotForADescriptor gives each operation an empty slot whose
// number is that of an open descriptor. The kernel finds nothing there: what the
// table of operations says of files is what it does.
func TestKernelTakesNoSlotForADescriptor(t *testing.T) {
	r := newRing(t, 4, Params{})
	needKernel(t, Version{6, 17}, "SEND_VECTORIZED")
	sparseFiles(t, r, 64)
	near, _ := socketPair(t)
	require.Less(t, near, 64)
	covered := 0
	for _, c := range typedCases() {
		use, _ := c.op.FileUse()
		if use == FileDescriptor || c.op == IORING_OP_RECV_ZC {
			continue // the latter looks for its queue first
		}
		errs := results(t, r, func(s *SQE) {
			require.NoError(t, c.typed(s, Slot(uint32(near))))
		})
		assert.Equal(t, syscall.EBADF, errs[0], "%v", c.op)
		covered++
	}
	assert.Greater(t, covered, 40)
}

// TestKernelOnSlotsOfPaths sets the flag by hand that the typed functions refuse
// to set. Most operations fail, but epoll_ctl takes the number for a descriptor.
func TestKernelOnSlotsOfPaths(t *testing.T) {
	r := newRing(t, 4, Params{})
	sparseFiles(t, r, 64)
	near, _ := socketPair(t)
	for _, c := range typedCases() {
		if use, _ := c.op.FileUse(); use != FileDescriptor {
			continue
		}
		byHand := func(fd int, flags SQEFlags) syscall.Errno {
			return results(t, r, func(s *SQE) {
				require.NoError(t, c.typed(s, FD(fd)))
				s.Flags |= flags
			})[0]
		}
		if c.op == IORING_OP_EPOLL_CTL {
			assert.Equal(t, byHand(near, 0), byHand(near, IOSQE_FIXED_FILE), "the flag makes no difference")
			assert.NotEqual(t, syscall.EBADF, byHand(near, IOSQE_FIXED_FILE), "the slot is empty, but the descriptor is open")
			continue
		}
		assert.Equal(t, syscall.EBADF, byHand(near, IOSQE_FIXED_FILE), "%v", c.op)
	}
}

// TestCancelByEitherName: requests are found by the file, whether it was named by
// its descriptor or its slot.
func TestCancelByEitherName(t *testing.T) {
	needKernel(t, Version{6, 0}, "CANCEL_FD_FIXED")
	near, _ := socketPair(t)
	r := newRing(t, 4, Params{})
	sparseFiles(t, r, 4)
	fds := [1]int32{int32(near)}
	cqe := submit1(t, r, func(s *SQE) { s.PrepFilesUpdate(&fds[0], 1, 2) })
	require.Equal(t, int32(1), cqe.Res)
	buf := make([]byte, 1)
	for _, names := range [][2]File{{FD(near), Slot(2)}, {Slot(2), FD(near)}} {
		Recv(next(t, r), names[0], buf, 0, 0)
		s := next(t, r)
		CancelFile(s, names[1], 0)
		s.UserData = 2
		_, err := r.SubmitAndWait(2, hang)
		require.NoError(t, err)
		for cqe := range r.CQ().All() {
			want := syscall.ECANCELED
			if cqe.UserData == 2 {
				want = 0
			}
			assert.Equal(t, want, cqe.Errno(), "request %d", cqe.UserData)
		}
	}
}
