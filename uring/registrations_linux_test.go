package uring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestEventfdAsync is signalled for what had to wait, not for what was done when
// the enter returned.
func TestEventfdAsync(t *testing.T) {
	testkit.NeedKernel(t, 5, 6, "EVENTFD_ASYNC")
	r := newRing(t, 4, Params{})
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Close(fd)) }()
	signals := func() uint64 {
		var b [8]byte
		if _, err := unix.Read(fd, b[:]); err != nil {
			return 0
		}
		return binary.NativeEndian.Uint64(b[:])
	}
	require.NoError(t, r.RegisterEventfdAsync(fd))
	err = r.RegisterEventfd(fd)
	require.ErrorIs(t, err, syscall.EBUSY)
	require.ErrorContains(t, err, "registered already")
	roundTrip(t, r)
	require.Zero(t, signals(), "done at once")
	cqe := submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Flags = IOSQE_ASYNC })
	require.Zero(t, cqe.Res)
	testkit.Eventually(t, func() bool { return signals() > 0 }, "the signal of what a worker has done")
	require.NoError(t, r.UnregisterEventfd())
	err = r.UnregisterEventfd()
	require.ErrorIs(t, err, syscall.ENXIO)
	require.ErrorContains(t, err, "no eventfd is registered")
}

// pendingRecv submits a receive that waits, and returns its socket.
func pendingRecv(t testing.TB, r *Ring, userData uint64) (fd int) {
	t.Helper()
	near, _ := socketPair(t)
	sqe := next(t, r)
	sqe.PrepRecv(near, make([]byte, 8), 0, 0)
	sqe.UserData = userData
	_, err := r.Submit()
	require.NoError(t, err)
	return near
}

// TestSyncCancel cancels by each of the keys, and finds the requests ended when
// the call returns.
func TestSyncCancel(t *testing.T) {
	testkit.NeedKernel(t, 6, 6, "SYNC_CANCEL by every key")
	forShapes(t, func(t *testing.T, s shape) {
		if s.flags&IORING_SETUP_SQPOLL != 0 {
			return // its thread submits a little later
		}
		r := newRing(t, 8, Params{Flags: s.flags})
		fds := make([]int, 6)
		for i := range fds {
			fds[i] = pendingRecv(t, r, uint64(i))
		}
		cancelled := func(want ...uint64) {
			t.Helper()
			var got []uint64
			testkit.Eventually(t, func() bool {
				_, err := r.Submit() // completions of DEFER_TASKRUN
				require.NoError(t, err)
				for cqe := range r.CQ().All() {
					require.Equal(t, syscall.ECANCELED, cqe.Errno())
					got = append(got, cqe.UserData)
				}
				return len(got) >= len(want)
			}, "the completions")
			require.ElementsMatch(t, want, got)
		}
		_, err := r.SyncCancel(CancelTarget{UserData: 0}, hang)
		require.NoError(t, err)
		cancelled(0)
		_, err = r.SyncCancel(CancelTarget{UserData: 0}, hang)
		require.ErrorIs(t, err, syscall.ENOENT)
		require.ErrorContains(t, err, "no request in flight")
		_, err = r.SyncCancel(CancelTarget{Flags: IORING_ASYNC_CANCEL_FD, Fd: fds[1]}, -1)
		require.NoError(t, err)
		cancelled(1)
		_, err = r.SyncCancel(CancelTarget{
			Flags: IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_USERDATA, Fd: fds[2], UserData: 3,
		}, 0)
		require.ErrorIs(t, err, syscall.ENOENT, "both must hold")
		_, err = r.SyncCancel(CancelTarget{
			Flags: IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_USERDATA, Fd: fds[2], UserData: 2,
		}, hang)
		require.NoError(t, err)
		cancelled(2)
		_, err = r.SyncCancel(CancelTarget{Flags: IORING_ASYNC_CANCEL_OP, Op: IORING_OP_SEND}, hang)
		require.ErrorIs(t, err, syscall.ENOENT)
		n, err := r.SyncCancel(CancelTarget{Flags: IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ALL, Op: IORING_OP_RECV}, hang)
		require.NoError(t, err)
		require.LessOrEqual(t, n, 3)
		cancelled(3, 4, 5)
		pendingRecv(t, r, 6)
		pendingRecv(t, r, 7)
		_, err = r.SyncCancel(CancelTarget{Flags: IORING_ASYNC_CANCEL_ANY}, hang)
		require.NoError(t, err)
		cancelled(6, 7)
		_, err = r.SyncCancel(CancelTarget{Flags: IORING_ASYNC_CANCEL_FD, Fd: -1}, hang)
		require.ErrorIs(t, err, syscall.EBADF)
	})
}

// TestWorkerAffinity looks where a worker of the kernel may run, in a process
// that has none of before: those keep what they had.
func TestWorkerAffinity(t *testing.T) {
	testkit.NeedKernel(t, 5, 14, "IOWQ_AFF")
	lockThread(t)
	r := newRing(t, 4, Params{})
	cpu := int(allowedCPU(t))
	require.ErrorIs(t, r.SetWorkerAffinity(-1), syscall.EINVAL)
	require.ErrorIs(t, r.SetWorkerAffinity(1<<20), syscall.EINVAL)
	err := r.SetWorkerAffinity()
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "at least one processor")
	require.NoError(t, r.SetWorkerAffinity(cpu, cpu))
	if child(t) {
		cqe := submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Flags = IOSQE_ASYNC })
		require.Zero(t, cqe.Res)
		require.Equal(t, []string{strconv.Itoa(cpu)}, workersOf(t, unix.Gettid()))
	}
	require.NoError(t, r.ClearWorkerAffinity())
}

// workersOf returns where the workers of a thread may run.
func workersOf(t testing.TB, tid int) (cpus []string) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("Name:\tiou-wrk-%d\n", tid)) {
			continue
		}
		_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:\t")
		list, _, _ = strings.Cut(list, "\n")
		cpus = append(cpus, list)
	}
	return cpus
}

// TestNAPI turns polling of the network on and off and gets the settings of
// before each time.
func TestNAPI(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "NAPI with static tracking")
	r := newRing(t, 4, Params{})
	prev, err := r.RegisterNAPI(50*time.Microsecond, true, IO_URING_NAPI_TRACKING_DYNAMIC)
	if errors.Is(err, syscall.EINVAL) && !hasNetBusyPoll() {
		testkit.Skip(t, "the kernel was built without CONFIG_NET_RX_BUSY_POLL")
	}
	require.NoError(t, err)
	require.Zero(t, prev.BusyPollTo)
	prev, err = r.RegisterNAPI(20*time.Microsecond, false, IO_URING_NAPI_TRACKING_DYNAMIC)
	require.NoError(t, err)
	require.Equal(t, uint32(50), prev.BusyPollTo)
	require.Equal(t, uint8(1), prev.PreferBusyPoll)
	require.Error(t, r.AddNAPI(300), "it tracks by itself")
	prev, err = r.UnregisterNAPI()
	require.NoError(t, err)
	require.Equal(t, uint32(20), prev.BusyPollTo)
	require.Zero(t, prev.PreferBusyPoll)

	_, err = r.RegisterNAPI(time.Microsecond, false, IO_URING_NAPI_TRACKING_STATIC)
	require.NoError(t, err)
	const id = 300 // no such queue, but a number that one could have
	require.NoError(t, r.AddNAPI(id))
	require.ErrorIs(t, r.AddNAPI(id), syscall.EEXIST)
	require.NoError(t, r.RemoveNAPI(id))
	require.ErrorIs(t, r.RemoveNAPI(id), syscall.ENOENT)
	roundTrip(t, r)
	_, err = r.UnregisterNAPI()
	require.NoError(t, err)

	for _, d := range []time.Duration{-1, 2 * time.Hour} {
		_, err = r.RegisterNAPI(d, false, 0)
		require.ErrorIs(t, err, syscall.EINVAL)
	}
}

func hasNetBusyPoll() bool {
	_, err := os.Stat("/proc/sys/net/core/busy_poll")
	return err == nil
}

// TestZeroCopyReceive: a machine without such a network card gets as far as the
// device. More than the arguments cannot be tested without the hardware.
func TestZeroCopyReceive(t *testing.T) {
	testkit.NeedKernel(t, 6, 15, "ZCRX_IFQ")
	lockThread(t)
	r := newRing(t, 4, Params{Flags: deferred | IORING_SETUP_CQE32})
	mem, rq := pages(t, 16*os.Getpagesize()), pages(t, os.Getpagesize())
	area := &ZCRXAreaReg{Addr: address(&mem[0]), Len: uint64(len(mem))}
	region := &RegionDesc{UserAddr: address(&rq[0]), Size: uint64(len(rq)), Flags: IORING_MEM_REGION_TYPE_USER}
	reg := &ZCRXIfqReg{IfIdx: 1, RqEntries: 8, AreaPtr: address(area), RegionPtr: address(region)}
	err := r.RegisterZcrxIfq(reg)
	if os.Geteuid() != 0 && errors.Is(err, syscall.EPERM) {
		require.ErrorContains(t, err, "CAP_NET_ADMIN")
		return
	}
	require.ErrorIs(t, err, syscall.EOPNOTSUPP, "the loopback device")
	require.ErrorContains(t, err, "cannot receive without copying")
	reg.IfIdx = 1 << 20
	require.ErrorIs(t, r.RegisterZcrxIfq(reg), syscall.ENODEV)

	small := newRing(t, 4, Params{Flags: deferred})
	err = small.RegisterZcrxIfq(reg)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "CQE32 or CQE_MIXED")
}

// newer expects the refusal of a call that the running kernel may not know, by
// the release that brought it.
func newer(t *testing.T, err error, op RegisterOp, ifKnown ...error) {
	t.Helper()
	since, known := op.Since()
	require.True(t, known)
	require.Error(t, err)
	if knowsRegister(op, since) {
		for _, target := range ifKnown {
			if errors.Is(err, target) {
				return
			}
		}
		t.Fatalf("%v: %v", op, err)
	}
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, fmt.Sprintf("it needs Linux %v, and this is Linux ", since))
}

// TestCallsNewerThanTheKernel are refused by name and release, or for their
// arguments by a kernel that knows them.
func TestCallsNewerThanTheKernel(t *testing.T) {
	testkit.NeedKernel(t, 6, 18, "QUERY")
	r := newRing(t, 4, Params{})
	newer(t, r.ZcrxControl(&ZCRXCtrl{ZcrxID: 99}), IORING_REGISTER_ZCRX_CTRL, syscall.ENXIO, syscall.EINVAL)
	newer(t, r.RegisterBPFFilter(&BPFFilter{Opcode: 255}), IORING_REGISTER_BPF_FILTER, syscall.EINVAL, syscall.EFAULT)
	roundTrip(t, r)

	_, err := QueryZcrxInfo()
	if err != nil {
		require.ErrorIs(t, err, syscall.EOPNOTSUPP)
		require.ErrorContains(t, err, "does not know the question")
	}
	scq, err := QueryScqInfo()
	if err != nil {
		require.ErrorIs(t, err, syscall.EOPNOTSUPP)
	} else {
		require.LessOrEqual(t, scq.HdrSize, uint64(ringHeader))
	}
}

// TestRestrictTask is carried out in a process of its own: on a kernel that
// knows it, it cannot be undone.
func TestRestrictTask(t *testing.T) {
	testkit.NeedKernel(t, 5, 10, "restrictions")
	needRing(t)
	require.ErrorIs(t, RestrictTask(nil), syscall.EINVAL)
	if !child(t) {
		return
	}
	lockThread(t)
	err := RestrictTask([]Restriction{AllowOp(IORING_OP_NOP), AllowRegister(IORING_REGISTER_PROBE)})
	if err != nil {
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, "came after Linux 6.18")
		require.False(t, running(t).AtLeast(Version{7, 0}))
		return
	}
	r := newRing(t, 4, Params{})
	roundTrip(t, r)
	cqe := submit1(t, r, func(sqe *SQE) { sqe.PrepClose(-1) })
	require.Equal(t, syscall.EACCES, cqe.Errno())
}

// TestRegistrationErrorsExplain: what the kernel says by a number alone.
func TestRegistrationErrorsExplain(t *testing.T) {
	testkit.NeedKernel(t, 6, 0, "SINGLE_ISSUER")
	lockThread(t)
	r := newRing(t, 4, Params{Flags: IORING_SETUP_SINGLE_ISSUER})
	elsewhere(func() {
		_, err := r.Probe()
		require.ErrorIs(t, err, syscall.EEXIST)
		require.ErrorContains(t, err, "io_uring_register(REGISTER_PROBE): file exists: the ring belongs to another thread")
	})
	err := r.Enable()
	require.ErrorIs(t, err, syscall.EBADFD)
	require.ErrorContains(t, err, "enabled already")
	var call *os.SyscallError
	require.ErrorAs(t, err, &call)
	require.Equal(t, "io_uring_register(REGISTER_ENABLE_RINGS)", call.Syscall)

	closed, err := New(1, nil)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	err = closed.Enable()
	require.ErrorIs(t, err, os.ErrClosed)
	require.ErrorIs(t, err, syscall.EBADF)
	require.ErrorContains(t, err, "the ring is closed")
}

// TestTables issues the calls for tables of files, buffers and credentials as
// the kernel defines their arguments.
func TestTables(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "CLONE_BUFFERS")
	r := newRing(t, 4, Params{})
	call := func(op RegisterOp, arg unsafe.Pointer, n uint32) int {
		t.Helper()
		ret, err := r.Register(op, arg, n)
		require.NoError(t, err)
		return ret
	}
	near, far := socketPair(t)
	write(t, far, "abcdef")
	buf := make([]byte, 4)
	readSlot := func(ring *Ring, slot int, want string) {
		t.Helper()
		cqe := submit1(t, ring, func(sqe *SQE) { sqe.PrepRead(slot, buf, 0); sqe.Flags = IOSQE_FIXED_FILE })
		require.Equal(t, want, string(buf[:max(cqe.Res, 0)]), "%v", cqe.Errno())
	}

	fds := []int32{-1, int32(near), -1}
	call(IORING_REGISTER_FILES, unsafe.Pointer(&fds[0]), 3)
	readSlot(r, 1, "abcd")
	call(IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&FilesUpdate{Offset: 2, Fds: address(&fds[1])}), 1)
	readSlot(r, 2, "ef")
	call(IORING_REGISTER_FILE_ALLOC_RANGE, unsafe.Pointer(&FileIndexRange{Off: 0, Len: 1}), 0)
	call(IORING_UNREGISTER_FILES, nil, 0)
	call(IORING_REGISTER_FILES2, unsafe.Pointer(&RsrcRegister{Nr: 2, Flags: IORING_RSRC_REGISTER_SPARSE}), 32)
	require.Equal(t, 1, call(IORING_REGISTER_FILES_UPDATE2,
		unsafe.Pointer(&RsrcUpdate2{Offset: 1, Data: address(&fds[1]), Nr: 1}), 32))
	write(t, far, "gh")
	readSlot(r, 1, "gh")

	mem := pages(t, 4096)
	iov := &Iovec{}
	iov.SetBytes(mem)
	call(IORING_REGISTER_BUFFERS, unsafe.Pointer(iov), 1)
	write(t, far, "fixed")
	cqe := submit1(t, r, func(sqe *SQE) {
		sqe.PrepRead(near, mem[:8], 0)
		sqe.Opcode, sqe.BufIndex = IORING_OP_READ_FIXED, 0
	})
	require.Equal(t, "fixed", string(mem[:max(cqe.Res, 0)]))
	call(IORING_UNREGISTER_BUFFERS, nil, 0)
	call(IORING_REGISTER_BUFFERS2, unsafe.Pointer(&RsrcRegister{Nr: 2, Flags: IORING_RSRC_REGISTER_SPARSE}), 32)
	require.Equal(t, 1, call(IORING_REGISTER_BUFFERS_UPDATE,
		unsafe.Pointer(&RsrcUpdate2{Offset: 1, Data: rawAddress(unsafe.Pointer(iov)), Nr: 1}), 32))
	other := newRing(t, 4, Params{})
	_, err := other.Register(IORING_REGISTER_CLONE_BUFFERS, unsafe.Pointer(&CloneBuffers{SrcFd: uint32(r.Fd())}), 1)
	require.NoError(t, err)
	write(t, far, "cloned")
	cqe = submit1(t, other, func(sqe *SQE) {
		sqe.PrepRead(near, mem[:8], 0)
		sqe.Opcode, sqe.BufIndex = IORING_OP_READ_FIXED, 1
	})
	require.Equal(t, "cloned", string(mem[:max(cqe.Res, 0)]))

	id := call(IORING_REGISTER_PERSONALITY, nil, 0)
	cqe = submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Personality = uint16(id) })
	require.Zero(t, cqe.Res)
	call(IORING_UNREGISTER_PERSONALITY, nil, uint32(id))
	cqe = submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Personality = uint16(id) })
	require.Equal(t, syscall.EINVAL, cqe.Errno())

	bufs, err := NewBufRing(r, 3, 4, 16)
	require.NoError(t, err)
	status := &BufStatus{BufGroup: 3}
	call(IORING_REGISTER_PBUF_STATUS, unsafe.Pointer(status), 1)
	require.Zero(t, status.Head)
	require.NoError(t, bufs.Close())
	_, err = r.Register(IORING_REGISTER_PBUF_STATUS, unsafe.Pointer(status), 1)
	require.ErrorContains(t, err, "group does not exist")
}
