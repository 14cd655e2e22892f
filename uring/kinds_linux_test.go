package uring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// nop32 makes an entry a NOP whose completion has 32 bytes, with these extras.
func nop32(sqe *SQE, userData, extra1, extra2 uint64) {
	sqe.PrepNop()
	sqe.OpFlags = uint32(IORING_NOP_CQE32)
	sqe.UserData, sqe.Off, sqe.Addr = userData, extra1, extra2
}

func needNop32(t testing.TB) {
	t.Helper()
	needRing(t)
	testkit.NeedKernel(t, 6, 18, "NOP_CQE32")
}

// TestLargeCompletions: all 32 bytes arrive, by each of the methods.
func TestLargeCompletions(t *testing.T) {
	needNop32(t)
	for _, flags := range []SetupFlags{IORING_SETUP_CQE32, IORING_SETUP_CQE_MIXED} {
		t.Run(flags.String(), func(t *testing.T) {
			r := newRing(t, 4, Params{Flags: flags})
			for i := range uint64(10) {
				nop32(next(t, r), 3*i, i, ^i)
				nop32(next(t, r), 3*i+1, i<<32, i<<40)
				nop32(next(t, r), 3*i+2, 1, 2)
				_, err := r.SubmitAndWait(3, hang)
				require.NoError(t, err)
				require.Equal(t, uint32(3), r.CQ().Ready())

				cqe, ok := r.CQ().Peek32()
				require.True(t, ok)
				require.Equal(t, 3*i, cqe.UserData)
				require.Equal(t, [2]uint64{i, ^i}, cqe.Extra)
				require.Equal(t, flags == IORING_SETUP_CQE_MIXED, cqe.Is32())
				var dst [1]CQE32
				require.Equal(t, 1, r.CQ().Reap32(dst[:]))
				require.Equal(t, cqe, dst[0])

				seen := 0
				for cqe := range r.CQ().All32() {
					seen++
					if seen == 1 {
						require.Equal(t, [2]uint64{i << 32, i << 40}, cqe.Extra)
						continue
					}
					require.Equal(t, [2]uint64{1, 2}, cqe.Extra)
				}
				require.Equal(t, 2, seen)
				_, ok = r.CQ().Peek32()
				require.False(t, ok)
				require.Zero(t, r.CQ().Reap32(dst[:]))
			}
		})
	}
}

// TestMixedCompletions sends small and large ones in every pattern through a
// tiny queue, so that fillers, and completions that do not fit, are the rule.
// The kernel lets small ones overtake large ones then, so the order is free.
func TestMixedCompletions(t *testing.T) {
	needNop32(t)
	testkit.Watchdog(t, hang)
	for _, cqEntries := range []uint32{4, 8, 16} {
		for pattern := range uint64(1 << 8) {
			r, err := New(4, &Params{Flags: IORING_SETUP_CQE_MIXED | IORING_SETUP_CQSIZE, CqEntries: cqEntries})
			require.NoError(t, err)
			large := func(i uint64) bool { return pattern>>(i%8)&1 != 0 }
			var sent uint64
			seen := make(map[uint64]bool)
			for round := range 8 {
				for range round%4 + 1 {
					if large(sent) {
						nop32(next(t, r), sent, sent, ^sent)
					} else {
						nop(t, r, sent)
					}
					sent++
				}
				for uint64(len(seen)) < sent {
					_, err := r.SubmitAndWait(uint32(sent)-uint32(len(seen)), hang)
					require.NoError(t, err)
					require.NotZero(t, r.CQ().Ready())
					for cqe := range r.CQ().All32() {
						require.Less(t, cqe.UserData, sent)
						require.False(t, seen[cqe.UserData], "twice")
						seen[cqe.UserData] = true
						if large(cqe.UserData) {
							require.Equal(t, [2]uint64{cqe.UserData, ^cqe.UserData}, cqe.Extra)
						} else {
							require.Zero(t, cqe.Extra)
						}
					}
				}
			}
			require.NoError(t, r.Close())
		}
	}
}

// TestMixedCompletionsWithoutTheirExtras reads the same queue by the methods
// for small ones.
func TestMixedCompletionsWithoutTheirExtras(t *testing.T) {
	needNop32(t)
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{Flags: IORING_SETUP_CQE_MIXED})
	var seen uint64
	for i := range uint64(40) {
		nop32(next(t, r), 2*i, 1, 2)
		nop(t, r, 2*i+1)
		_, err := r.SubmitAndWait(2, hang)
		require.NoError(t, err)
		require.Equal(t, uint32(2), r.CQ().Ready())
		cqe, ok := r.CQ().Peek()
		require.True(t, ok)
		require.Equal(t, seen, cqe.UserData)
		if i%2 == 0 {
			var dst [3]CQE
			require.Equal(t, 2, r.CQ().Reap(dst[:]))
			require.Equal(t, seen, dst[0].UserData)
			require.Equal(t, seen+1, dst[1].UserData)
			seen += 2
			continue
		}
		for cqe := range r.CQ().All() {
			require.Equal(t, seen, cqe.UserData)
			seen++
		}
	}
	require.False(t, r.CQ().Nonempty())
}

// TestMixedWaitCountsCompletions: the kernel counts slots, of which a large
// completion has two.
func TestMixedWaitCountsCompletions(t *testing.T) {
	needNop32(t)
	testkit.Watchdog(t, hang)
	r := newRing(t, 8, Params{Flags: IORING_SETUP_CQE_MIXED})
	nop32(next(t, r), 1, 0, 0)
	_, err := r.SubmitAndWait(1, hang)
	require.NoError(t, err)
	start := time.Now()
	_, err = r.SubmitAndWait(2, 5*time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "two slots are not two completions")
	require.GreaterOrEqual(t, time.Since(start), 5*time.Millisecond)
	ts := &Timespec{Nsec: int64(5 * time.Millisecond)}
	next(t, r).PrepTimeout(ts, 0, 0)
	_, err = r.SubmitAndWait(2, hang)
	require.NoError(t, err)
	require.Equal(t, uint32(2), r.CQ().Ready())
}

// TestMixedWaitSleeps: a wait that asked the kernel for as many slots as it wants
// completions would find them there at once, again and again.
func TestMixedWaitSleeps(t *testing.T) {
	needNop32(t)
	testkit.Watchdog(t, hang)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := newRing(t, 8, Params{Flags: IORING_SETUP_CQE_MIXED})
	for i := range uint64(3) {
		nop32(next(t, r), i, 0, 0)
	}
	_, err := r.SubmitAndWait(3, hang)
	require.NoError(t, err)
	used := func() time.Duration {
		var use unix.Rusage
		require.NoError(t, unix.Getrusage(unix.RUSAGE_THREAD, &use))
		return time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	const long = 200 * time.Millisecond
	before := used()
	_, err = r.SubmitAndWait(5, long)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, used()-before, long/4, "processor time of a wait for completions that do not come")
}

// TestLargeCompletionInASmallRing is refused in the completion.
func TestLargeCompletionInASmallRing(t *testing.T) {
	needNop32(t)
	r := newRing(t, 4, Params{})
	nop32(next(t, r), 1, 1, 2)
	cqe := one(t, r)
	require.Equal(t, syscall.EINVAL, cqe.Errno())
	nop(t, r, 2)
	_, err := r.SubmitAndWait(1, hang)
	require.NoError(t, err)
	for cqe := range r.CQ().All32() {
		require.Equal(t, uint64(2), cqe.UserData)
		require.Zero(t, cqe.Extra)
	}
}

// TestLargeEntries fills the second half, which must not be seen by the next to
// use the slot.
func TestLargeEntries(t *testing.T) {
	testkit.NeedKernel(t, 5, 19, "SQE128")
	r := newRing(t, 2, Params{Flags: IORING_SETUP_SQE128})
	sq, err := r.SQ128()
	require.NoError(t, err)
	require.Equal(t, uint32(2), sq.Entries())
	for i := range uint64(9) {
		sqe := sq.Next()
		require.NotNil(t, sqe)
		require.Zero(t, sqe.Extra)
		sqe.PrepNop()
		sqe.UserData = i
		for j := range sqe.Extra {
			sqe.Extra[j] = 0xff
		}
		require.Equal(t, i, one(t, r).UserData)
		if i%3 == 2 {
			require.Equal(t, uintptr(128), uintptr(unsafe.Sizeof(*sqe)))
			nop(t, r, 100)
			at := (r.sq.tail - 1) & r.sq.mask << 1
			require.Equal(t, SQE{}, r.sq.sqes[at+1], "the other half of an ordinary entry")
			require.Equal(t, uint64(100), one(t, r).UserData)
		}
	}
	require.NotNil(t, sq.Next())
	require.NotNil(t, sq.Next())
	require.Nil(t, sq.Next(), "full")
	(&r.sq).tail = r.sq.published // forget them
}

// TestSocketCommandInALargeEntry runs a command in a ring whose commands have
// 80 bytes.
func TestSocketCommandInALargeEntry(t *testing.T) {
	testkit.NeedKernel(t, 6, 7, "socket commands")
	r := newRing(t, 2, Params{Flags: IORING_SETUP_SQE128 | IORING_SETUP_CQE32})
	sq, err := r.SQ128()
	require.NoError(t, err)
	near, far := socketPair(t)
	write(t, far, "five!")
	sqe := sq.Next()
	sqe.PrepSocketCmd(near, SOCKET_URING_OP_SIOCINQ, 0, 0, nil, 0)
	require.Len(t, sqe.Cmd(), 80)
	cqe := one(t, r)
	if cqe.Errno() == syscall.EOPNOTSUPP { // Unix sockets have no such query
		return
	}
	require.Equal(t, int32(5), cqe.Res)
}

// TestOperationsOfMixedEntries are refused by a ring that has none: as unknown
// before Linux 6.19, and later because such entries are all large here.
func TestOperationsOfMixedEntries(t *testing.T) {
	testkit.NeedKernel(t, 5, 19, "SQE128")
	r := newRing(t, 4, Params{Flags: IORING_SETUP_SQE128})
	sq, err := r.SQ128()
	require.NoError(t, err)
	ops, err := r.Probe()
	require.NoError(t, err)
	sqe := sq.Next()
	sqe.PrepNop128()
	cqe := one(t, r)
	errno := cqe.Errno()
	if ops.Has(IORING_OP_NOP128) {
		require.Contains(t, []syscall.Errno{0, syscall.EINVAL}, errno)
	} else {
		require.Equal(t, syscall.EINVAL, errno)
	}
	sqe = sq.Next()
	near, _ := socketPair(t)
	sqe.PrepUringCmd128(near, uint32(SOCKET_URING_OP_SIOCINQ), 0)
	sqe.UserData = 3
	require.Equal(t, IORING_OP_URING_CMD128, sqe.Opcode)
	cqe = one(t, r)
	require.Equal(t, uint64(3), cqe.UserData)
	require.NotZero(t, cqe.Errno())
}

// TestLargeEntriesOfAnOrdinaryRing: there are none.
func TestLargeEntriesOfAnOrdinaryRing(t *testing.T) {
	r := newRing(t, 2, Params{})
	_, err := r.SQ128()
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "SQE128 or SQE_MIXED")
}

// pages returns memory outside Go's heap that is unmapped with the test.
func pages(t testing.TB, size int) []byte {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(mem)) })
	return mem
}

const hugePage = 2 << 20

// hugePages returns one huge page: of the pool if the machine has one, and
// otherwise one that the kernel makes of ordinary pages.
func hugePages(t testing.TB) []byte {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, hugePage, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, unix.Munmap(mem)) })
		return mem
	}
	mem = pages(t, 2*hugePage)
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (hugePage - 1)
	mem = mem[skip : skip+hugePage]
	if err := unix.Madvise(mem, unix.MADV_HUGEPAGE); err != nil {
		testkit.Skip(t, "neither a pool of huge pages nor transparent ones: %v", err)
	}
	return mem
}

// TestRingInMemoryOfTheCaller works like any other, on ordinary pages and on a
// huge one, also where it was full of rubbish before.
func TestRingInMemoryOfTheCaller(t *testing.T) {
	testkit.NeedKernel(t, 6, 5, "NO_MMAP")
	needRing(t)
	for _, tt := range []struct {
		entries uint32
		flags   SetupFlags
		since   Version
	}{
		{4, 0, Version{6, 5}},
		{4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, Version{6, 5}},
		{4, IORING_SETUP_NO_SQARRAY | IORING_SETUP_CQE32 | IORING_SETUP_SQE128, Version{6, 6}},
		{8, IORING_SETUP_CQE_MIXED, Version{6, 18}},
		{512, 0, Version{6, 14}},
		{4096, IORING_SETUP_CQE32 | IORING_SETUP_SQE128, Version{6, 14}},
	} {
		for _, huge := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v/huge=%v", tt.entries, tt.flags, huge), func(t *testing.T) {
				if !huge {
					needKernel(t, tt.since, "many pages")
				}
				lockThread(t)
				p := Params{Flags: tt.flags}
				size := RingMemorySize(tt.entries, p)
				require.Zero(t, size%os.Getpagesize())
				var mem []byte
				if huge {
					mem = hugePages(t)
					require.LessOrEqual(t, size, len(mem))
				} else {
					mem = pages(t, size)
				}
				for i := range mem {
					mem[i] = 0xee
				}
				before := len(ringMappings(t))
				r, err := NewInMemory(tt.entries, &p, mem)
				require.NoError(t, err)
				require.Len(t, ringMappings(t), before, "nothing is mapped")
				require.Equal(t, tt.flags|IORING_SETUP_NO_MMAP, r.Flags())
				for range 2*tt.entries + 1 {
					roundTrip(t, r)
				}
				require.NoError(t, r.Close())
				require.NoError(t, r.Close())
				require.Nil(t, r.SQ().Next())
				mem[0] = 1 // it is still mapped
			})
		}
	}
}

// TestTwoRingsOnOneHugePage lie behind each other.
func TestTwoRingsOnOneHugePage(t *testing.T) {
	testkit.NeedKernel(t, 6, 5, "NO_MMAP")
	needRing(t)
	mem := hugePages(t)
	size := RingMemorySize(16, Params{})
	var rings []*Ring
	for i := range 3 {
		r, err := NewInMemory(16, nil, mem[i*size:])
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Close()) }()
		rings = append(rings, r)
	}
	for range 40 {
		for _, r := range rings {
			roundTrip(t, r)
		}
	}
}

func TestMemoryThatDoesNotDo(t *testing.T) {
	needRing(t)
	size := RingMemorySize(4, Params{})
	mem := pages(t, size+os.Getpagesize())
	_, err := NewInMemory(4, nil, mem[:size-1])
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, fmt.Sprintf("it needs %d", size))
	_, err = NewInMemory(4, nil, mem[8:])
	require.ErrorContains(t, err, "page boundary")
	_, err = NewInMemory(4, nil, nil)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = NewInMemory(4, &Params{Flags: IORING_SETUP_DEFER_TASKRUN}, mem)
	var setup *SetupError
	require.ErrorAs(t, err, &setup)
	require.Contains(t, setup.Cause, "SINGLE_ISSUER")
}

// TestRingMemorySizes: what is computed is at least what the kernel uses, for
// rings of all sizes and kinds.
func TestRingMemorySizes(t *testing.T) {
	needRing(t)
	for _, flags := range []SetupFlags{0, IORING_SETUP_SQE128, IORING_SETUP_CQE32, IORING_SETUP_SQE128 | IORING_SETUP_CQE32} {
		for _, entries := range []uint32{1, 2, 3, 31, 32, 33, 64, 500, 1024, 4096} {
			p := Params{Flags: flags}
			r, err := New(entries, &p)
			require.NoError(t, err)
			used, want := r.usedSizes(), sizeQueues(entries, Params{Flags: flags})
			assert.LessOrEqual(t, used.rings, want.rings, "%v %d", flags, entries)
			assert.Equal(t, used.sqes, want.sqes, "%v %d", flags, entries)
			require.NoError(t, r.Close())
		}
	}
}

// TestRingWithoutDescriptor is a registered index and nothing else.
func TestRingWithoutDescriptor(t *testing.T) {
	testkit.NeedKernel(t, 6, 5, "REGISTERED_FD_ONLY")
	needRing(t)
	testkit.NoLeak(t)
	lockThread(t)
	mem := pages(t, RingMemorySize(4, Params{}))
	for range 20 { // more than a thread has places
		r, err := NewInMemory(4, &Params{Flags: IORING_SETUP_REGISTERED_FD_ONLY}, mem)
		require.NoError(t, err)
		require.Equal(t, -1, r.Fd())
		require.NotContains(t, openFiles(t), ringFile)
		roundTrip(t, r)
		set, err := r.Probe()
		require.NoError(t, err, "registration through the index")
		require.True(t, set.Has(IORING_OP_NOP))
		require.ErrorIs(t, r.UnregisterRingFd(), syscall.EBADF)
		require.NoError(t, r.RegisterRingFd(), "it is")
		require.NoError(t, r.CloseFd(), "there is none")
		roundTrip(t, r)
		elsewhere(func() {
			_, err := r.SubmitAndWait(1, 0)
			require.ErrorContains(t, err, "can be used on that one only")
		})
		require.NoError(t, r.Close())
		_, err = r.Submit()
		require.ErrorIs(t, err, os.ErrClosed)
	}
}

// TestRingWhoseDescriptorIsClosed goes on by its index.
func TestRingWhoseDescriptorIsClosed(t *testing.T) {
	testkit.NeedKernel(t, 6, 3, "REG_REG_RING")
	needRing(t)
	testkit.NoLeak(t)
	lockThread(t)
	for range 20 {
		r, err := New(4, nil)
		require.NoError(t, err)
		require.ErrorIs(t, r.CloseFd(), syscall.EINVAL)
		require.NoError(t, r.RegisterRingFd())
		require.NoError(t, r.CloseFd())
		require.NotContains(t, openFiles(t), ringFile)
		roundTrip(t, r)
		_, err = r.Probe()
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.ErrorIs(t, r.CloseFd(), os.ErrClosed)
	}
}

// pollerOf returns the thread that polls a ring, as the kernel tells of the
// ring's descriptor.
func pollerOf(t testing.TB, r *Ring) int {
	t.Helper()
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", r.Fd()))
	require.NoError(t, err)
	for line := range strings.Lines(string(info)) {
		if tid, ok := strings.CutPrefix(line, "SqThread:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(tid))
			require.NoError(t, err)
			return n
		}
	}
	t.Fatalf("no thread: %s", info)
	return 0
}

// TestPollerAffinity looks where the thread of the kernel may run.
func TestPollerAffinity(t *testing.T) {
	testkit.NeedKernel(t, 5, 13, "SQPOLL without privileges")
	cpu := allowedCPU(t)
	r := newRing(t, 4, Params{
		Flags: IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, SqThreadCPU: cpu, SqThreadIdle: 1,
	})
	roundTrip(t, r)
	status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", pollerOf(t, r)))
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`Cpus_allowed_list:\s%d\n`, cpu), string(status))

	_, err = New(4, &Params{Flags: IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, SqThreadCPU: 8191})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "processor that this process may not use")
}

// TestPollerIdle: the thread goes to sleep when it has found nothing for as long
// as it was told, and not at once.
func TestPollerIdle(t *testing.T) {
	testkit.NeedKernel(t, 5, 13, "SQPOLL without privileges")
	asleep := func(r *Ring) bool { return r.SQ().Flags()&IORING_SQ_NEED_WAKEUP != 0 }
	short := newRing(t, 4, Params{Flags: IORING_SETUP_SQPOLL, SqThreadIdle: 1})
	testkit.Eventually(t, func() bool { return asleep(short) }, "the thread sleeps")
	long := newRing(t, 4, Params{Flags: IORING_SETUP_SQPOLL, SqThreadIdle: 3_600_000})
	roundTrip(t, long)
	time.Sleep(20 * time.Millisecond)
	require.False(t, asleep(long))
}

// TestPollerWaitForRoom waits for an entry by IORING_ENTER_SQ_WAIT.
func TestPollerWaitForRoom(t *testing.T) {
	testkit.NeedKernel(t, 5, 13, "SQPOLL without privileges")
	testkit.Watchdog(t, hang)
	r := newRing(t, 2, Params{Flags: IORING_SETUP_SQPOLL, SqThreadIdle: 1})
	seen := 0
	for range 200 {
		for r.SQ().Space() == 0 {
			_, errno := r.Enter(0, 0, IORING_ENTER_SQ_WAIT|IORING_ENTER_SQ_WAKEUP)
			if errno != syscall.EINTR {
				require.Zero(t, errno)
			}
		}
		nop(t, r, 0)
		_, err := r.Submit()
		require.NoError(t, err)
		seen += r.CQ().Reap(make([]CQE, 4))
	}
	testkit.Eventually(t, func() bool { seen += r.CQ().Reap(make([]CQE, 4)); return seen == 200 }, "all completions")
}

// TestAttachedRingsShareTheirPoller has one thread poll two rings.
func TestAttachedRingsShareTheirPoller(t *testing.T) {
	testkit.NeedKernel(t, 5, 13, "SQPOLL without privileges")
	a := newRing(t, 4, Params{Flags: IORING_SETUP_SQPOLL, SqThreadIdle: 1})
	b := newRing(t, 4, Params{Flags: IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ, WqFd: uint32(a.Fd())})
	other := newRing(t, 4, Params{Flags: IORING_SETUP_SQPOLL})
	for _, r := range []*Ring{a, b, other, b, a} {
		roundTrip(t, r)
	}
	require.Equal(t, pollerOf(t, a), pollerOf(t, b))
	require.NotEqual(t, pollerOf(t, a), pollerOf(t, other))

	plain := newRing(t, 4, Params{Flags: IORING_SETUP_ATTACH_WQ, WqFd: uint32(a.Fd())})
	roundTrip(t, plain)
	near, _ := socketPair(t)
	_, err := New(4, &Params{Flags: IORING_SETUP_ATTACH_WQ, WqFd: uint32(near)})
	require.Error(t, err)
	require.ErrorContains(t, err, "which most likely is no ring")
}

// TestIOPoll reads a file past the page cache: from a disk with queues to poll
// it gets the bytes, from another the refusal.
func TestIOPoll(t *testing.T) {
	for _, flags := range []SetupFlags{
		IORING_SETUP_IOPOLL, IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL,
		IORING_SETUP_IOPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	} {
		t.Run(flags.String(), func(t *testing.T) {
			if flags&IORING_SETUP_HYBRID_IOPOLL != 0 {
				testkit.NeedKernel(t, 6, 13, "HYBRID_IOPOLL")
			}
			testkit.Watchdog(t, hang)
			lockThread(t)
			r := newRing(t, 4, Params{Flags: flags})
			path := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", 8192)), 0o600))
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
			if errors.Is(err, syscall.EINVAL) {
				testkit.Skip(t, "the file system of %s has no O_DIRECT", path)
			}
			require.NoError(t, err)
			defer func() { require.NoError(t, unix.Close(fd)) }()
			mem := pages(t, 8192)
			cqe := submit1(t, r, func(sqe *SQE) { sqe.PrepRead(fd, mem, 0) })
			if polls(t, fd) {
				require.Equal(t, int32(8192), cqe.Res, "%v", cqe.Errno())
				require.Equal(t, strings.Repeat("x", 8192), string(mem))
			} else {
				require.Equal(t, syscall.EOPNOTSUPP, cqe.Errno())
			}
			// What cannot be polled for is refused.
			near, _ := socketPair(t)
			cqe = submit1(t, r, func(sqe *SQE) { sqe.PrepRecv(near, mem, 0, 0) })
			require.Contains(t, []syscall.Errno{syscall.EOPNOTSUPP, syscall.EINVAL}, cqe.Errno())
			roundTrip(t, r)
		})
	}
}

// polls reports whether the disk that holds a file has queues to poll.
func polls(t testing.TB, fd int) bool {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(fd, &st))
	dev := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	for _, path := range []string{dev + "/queue/io_poll", dev + "/../queue/io_poll"} {
		if text, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(text)) == "1"
		}
	}
	return false // no disk: tmpfs, overlay
}

// Completions that arrive while it is found out how many are missing are not
// waited for in addition. That hung now and then where the kernel's thread
// completes them at any moment.
func TestMixedWaitWhileCompletionsArrive(t *testing.T) {
	needKernel(t, Version{6, 18}, "CQE_MIXED")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{Flags: IORING_SETUP_CQE_MIXED | IORING_SETUP_SQPOLL, CqEntries: 16, SqThreadIdle: 100})
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	for range rounds {
		roundTrip(t, r)
	}
}
