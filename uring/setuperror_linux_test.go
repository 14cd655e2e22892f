package uring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// setupFails returns the error of a setup that must fail with the errno.
func setupFails(t *testing.T, entries uint32, p Params, errno syscall.Errno) *SetupError {
	t.Helper()
	r, err := New(entries, &p)
	require.Nil(t, r)
	var setup *SetupError
	require.ErrorAs(t, err, &setup)
	require.ErrorIs(t, err, errno)
	require.Equal(t, entries, setup.Entries)
	require.Equal(t, p.Flags, setup.Flags)
	require.Contains(t, err.Error(), setup.Cause+"; "+setup.Remedy)
	return setup
}

// TestSetupThatTheKernelRefuses has every refusal that the explanation knows,
// so that its rules are those of the kernel.
func TestSetupThatTheKernelRefuses(t *testing.T) {
	needRing(t)
	testkit.NeedKernel(t, 6, 18, "naming the unknown flags by a query")
	const unknown SetupFlags = 1 << 30
	for _, tt := range []struct {
		name          string
		entries       uint32
		p             Params
		cause, remedy string
	}{
		{"no entries", 0, Params{}, "entries is 0", "ask for 1 to 32768"},
		{"no entries, clamped", 0, Params{Flags: IORING_SETUP_CLAMP}, "entries is 0", "ask for 1 to 32768"},
		{"too many entries", 32769, Params{}, "entries is 32769", "or set CLAMP"},
		{"reserved", 1, Params{Resv: [3]uint32{0, 0, 1}}, "Resv is not zero", "empty Params"},
		{"no completions", 4, Params{Flags: IORING_SETUP_CQSIZE}, "queue (0) is smaller than the submission queue (4)", "at least as many"},
		{"few completions", 8, Params{Flags: IORING_SETUP_CQSIZE, CqEntries: 4}, "queue (4) is smaller than the submission queue (8)", "at least as many"},
		{"rounded up", 5, Params{Flags: IORING_SETUP_CQSIZE, CqEntries: 4}, "queue (4) is smaller than the submission queue (8)", "at least as many"},
		{"clamped to more", 40_000, Params{Flags: IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, CqEntries: 8}, "smaller than the submission queue (32768)", "at least as many"},
		{"too many completions", 8, Params{Flags: IORING_SETUP_CQSIZE, CqEntries: 65537}, "completion entries is 65537", "at most 65536"},
		{"unknown flag", 1, Params{Flags: unknown | IORING_SETUP_CLAMP}, "does not know the setup flags 0x40000000", "leave them out"},
		{"DEFER alone", 1, Params{Flags: IORING_SETUP_DEFER_TASKRUN}, "DEFER_TASKRUN needs SINGLE_ISSUER", "set both"},
		{"TASKRUN_FLAG alone", 1, Params{Flags: IORING_SETUP_TASKRUN_FLAG}, "TASKRUN_FLAG needs COOP", "set one"},
		{"SQPOLL and COOP", 1, Params{Flags: IORING_SETUP_SQPOLL | IORING_SETUP_COOP_TASKRUN}, "SQPOLL does not go with COOP", "leave"},
		{"SQPOLL and flag", 1, Params{Flags: IORING_SETUP_SQPOLL | IORING_SETUP_TASKRUN_FLAG}, "SQPOLL does not go with COOP", "leave"},
		{"SQPOLL and DEFER", 1, Params{Flags: IORING_SETUP_SQPOLL | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER}, "SQPOLL does not go with COOP", "leave"},
		{"SQ_AFF alone", 1, Params{Flags: IORING_SETUP_SQ_AFF}, "SQ_AFF needs SQPOLL", "set both"},
		{"SQ_AFF nowhere", 1, Params{Flags: IORING_SETUP_SQ_AFF | IORING_SETUP_SQPOLL, SqThreadCPU: 1 << 20}, "may not use", "SqThreadCPU"},
		{"HYBRID alone", 1, Params{Flags: IORING_SETUP_HYBRID_IOPOLL}, "HYBRID_IOPOLL needs IOPOLL", "set both"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setup := setupFails(t, tt.entries, tt.p, syscall.EINVAL)
			assert.Contains(t, setup.Cause, tt.cause)
			assert.Contains(t, setup.Remedy, tt.remedy)
			assert.False(t, setup.Final())
		})
	}
}

func TestSetupAttachedToNoRing(t *testing.T) {
	needRing(t)
	for _, fd := range []int32{-1, 0} {
		_, err := New(1, &Params{Flags: IORING_SETUP_ATTACH_WQ, WqFd: uint32(fd)})
		var setup *SetupError
		require.ErrorAs(t, err, &setup)
		if setup.Errno != syscall.EINVAL {
			assert.Contains(t, setup.Cause, "ATTACH_WQ", "%v", err)
		}
	}
}

// TestSetupUnderSeccomp has a filter refuse the ring, in a process of its own
// because it is there to stay.
func TestSetupUnderSeccomp(t *testing.T) {
	for errno, cause := range map[syscall.Errno]string{
		syscall.EPERM:  "a seccomp filter is active",
		syscall.ENOSYS: "a seccomp filter hides io_uring",
	} {
		t.Run(fmt.Sprintf("errno%d", int(errno)), func(t *testing.T) {
			needRing(t)
			if !child(t) {
				return
			}
			refuseSetup(t, errno)
			setup := setupFails(t, 8, Params{}, errno)
			require.Contains(t, setup.Cause, cause)
			require.Contains(t, setup.Remedy, "seccomp profile")
			require.True(t, setup.Final())
			require.Equal(t, errno == syscall.EPERM, errors.Is(setup, fs.ErrPermission))
			require.Equal(t, errno == syscall.ENOSYS, errors.Is(setup, errors.ErrUnsupported))
		})
	}
}

// refuseSetup makes io_uring_setup fail in every thread of the process.
func refuseSetup(t *testing.T, errno syscall.Errno) {
	t.Helper()
	const load, ifEq, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the call
		{Code: ifEq, K: unix.SYS_IO_URING_SETUP, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	lockThread(t) // no_new_privs belongs to a thread
	require.NoError(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	require.Zero(t, e)
}

// TestSetupWithoutDescriptors lowers the limit, in a process of its own.
func TestSetupWithoutDescriptors(t *testing.T) {
	needRing(t)
	if !child(t) {
		return
	}
	next, err := unix.Dup(0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(next))
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next), Max: limit.Max}))
	setup := setupFails(t, 8, Params{}, syscall.EMFILE)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	require.Contains(t, setup.Cause, fmt.Sprintf("RLIMIT_NOFILE is %d)", next))
	require.Contains(t, setup.Remedy, "ulimit -n")
	require.True(t, setup.Final())
	roundTrip(t, newRing(t, 1, Params{}))
}

// fakeSystem is a system whose files are given, and whose kernel knows the
// given flags or cannot be asked.
func fakeSystem(files map[string]string, flags SetupFlags) system {
	return system{
		read: func(path string) (string, error) {
			if text, ok := files[path]; ok {
				return text, nil
			}
			return "", os.ErrNotExist
		},
		release: func() string { return "Linux 5.4" },
		limit:   func(resource int) string { return fmt.Sprintf("limit-%d", resource) },
		query: func() (QueryOpcode, error) {
			if flags == 0 {
				return QueryOpcode{}, syscall.EINVAL
			}
			return QueryOpcode{RingSetupFlags: uint64(flags)}, nil
		},
	}
}

// TestSetupErrorExplains what this machine cannot show.
func TestSetupErrorExplains(t *testing.T) {
	const filtered = "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"
	const free = "Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t2\n"
	type files = map[string]string
	for _, tt := range []struct {
		name          string
		files         files
		p             Params
		errno         syscall.Errno
		cause, remedy string
	}{
		{
			"off for all", files{disabledSysctl: "2\n", statusFile: filtered}, Params{}, syscall.EPERM,
			"kernel.io_uring_disabled is 2", "sysctl -w kernel.io_uring_disabled=0",
		},
		{
			"off but for a group", files{disabledSysctl: "1\n", groupSysctl: "1004\n"}, Params{}, syscall.EPERM,
			"is 1 and the process has no CAP_SYS_ADMIN and is not in the group 1004", "add the process to that group",
		},
		{
			"off and no group", files{disabledSysctl: "1\n", groupSysctl: "-1\n"}, Params{}, syscall.EPERM,
			"kernel.io_uring_group allows no group", "set kernel.io_uring_group to a group",
		},
		{
			"off and the group unreadable", files{disabledSysctl: "1\n"}, Params{}, syscall.EPERM,
			"allows no group", "set kernel.io_uring_group",
		},
		{
			"filter", files{disabledSysctl: "0\n", statusFile: filtered}, Params{}, syscall.EPERM,
			"a seccomp filter is active", "seccomp profile",
		},
		{
			"security module", files{disabledSysctl: "0\n", statusFile: free}, Params{}, syscall.EACCES,
			"a security module (SELinux, AppArmor)", "audit log",
		},
		{
			"nothing to be read", nil, Params{}, syscall.EPERM,
			"a security module", "audit log",
		},
		{
			"old SQPOLL", files{statusFile: free}, Params{Flags: IORING_SETUP_SQPOLL}, syscall.EPERM,
			"before Linux 5.13 (this is Linux 5.4) SQPOLL", "CAP_SYS_NICE",
		},
		{
			"new SQPOLL", files{disabledSysctl: "0", statusFile: free}, Params{Flags: IORING_SETUP_SQPOLL}, syscall.EPERM,
			"a security module", "audit log",
		},
		{
			"no io_uring", files{statusFile: free}, Params{}, syscall.ENOSYS,
			"the kernel (Linux 5.4) has no io_uring", "CONFIG_IO_URING",
		},
		{
			"hidden", files{statusFile: filtered}, Params{}, syscall.ENOSYS,
			"a seccomp filter hides", "seccomp profile",
		},
		{
			"memory", nil, Params{}, syscall.ENOMEM,
			fmt.Sprintf("RLIMIT_MEMLOCK (now limit-%d)", unix.RLIMIT_MEMLOCK), "ulimit -l",
		},
		{
			"descriptors of the process", nil, Params{}, syscall.EMFILE,
			fmt.Sprintf("RLIMIT_NOFILE is limit-%d", unix.RLIMIT_NOFILE), "ulimit -n",
		},
		{"descriptors of the system", nil, Params{}, syscall.ENFILE, "the system has no free", "fs.file-max"},
		{"strange", nil, Params{}, syscall.EIO, "unexpected", "io_uring_setup(2)"},
		{
			"attached", nil, Params{Flags: IORING_SETUP_ATTACH_WQ, WqFd: 77}, syscall.ENXIO,
			"descriptor 77", "Params.WqFd",
		},
		{
			"an old kernel", nil, Params{Flags: IORING_SETUP_SUBMIT_ALL}, syscall.EINVAL,
			"the kernel (Linux 5.4) does not know one of these flags", "newest flags first",
		},
		{
			"an old kernel and a conflict", nil, Params{Flags: IORING_SETUP_SQ_AFF}, syscall.EINVAL,
			"SQ_AFF needs SQPOLL", "set both",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cause, remedy := fakeSystem(tt.files, 0).explain(8, tt.p, tt.errno)
			assert.Contains(t, cause, tt.cause)
			assert.Contains(t, remedy, tt.remedy)
			assert.NotRegexp(t, `\.$`, cause+"|"+remedy, "clauses, not sentences")
		})
	}

	knows := fakeSystem(nil, IORING_SETUP_SUBMIT_ALL|IORING_SETUP_IOPOLL)
	cause, _ := knows.explain(8, Params{Flags: IORING_SETUP_SUBMIT_ALL | IORING_SETUP_IOPOLL}, syscall.EINVAL)
	assert.Contains(t, cause, "the kernel knows all these flags")
	cause, _ = knows.explain(8, Params{Flags: IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP}, syscall.EINVAL)
	assert.Contains(t, cause, "does not know the setup flags CLAMP")
}

func TestSetupErrorText(t *testing.T) {
	err := &SetupError{
		Entries: 8, Flags: IORING_SETUP_CLAMP | IORING_SETUP_IOPOLL, Errno: syscall.EPERM,
		Cause: "so it is", Remedy: "do this",
	}
	require.EqualError(t, err,
		"io_uring_setup(8 entries, flags IOPOLL|CLAMP): operation not permitted: so it is; do this")
}

// TestReadingTheSystem reads what there is of the files for real.
func TestReadingTheSystem(t *testing.T) {
	require.NotEmpty(t, runningSystem.word("/proc/sys/kernel/ostype"))
	status, err := readFile(statusFile)
	require.NoError(t, err)
	require.Contains(t, status, "\nSeccomp:\t")
	require.Regexp(t, `^Linux \d+\.\d+`, kernelRelease())
	require.Regexp(t, `^(\d+|unlimited)$`, rlimit(unix.RLIMIT_NOFILE))
	require.Equal(t, "unknown", rlimit(-1))
}
