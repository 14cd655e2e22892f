package uring

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestSetupFlagsThatGoTogether makes a working ring of every combination that
// somebody may have a reason for.
func TestSetupFlagsThatGoTogether(t *testing.T) {
	const (
		single  = IORING_SETUP_SINGLE_ISSUER
		deferTW = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
	)
	for _, tt := range []struct {
		flags SetupFlags
		since Version
	}{
		{0, Version{5, 1}},
		{IORING_SETUP_IOPOLL, Version{5, 1}},
		{IORING_SETUP_SQPOLL, Version{5, 13}},
		{IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, Version{5, 13}},
		{IORING_SETUP_CQSIZE, Version{5, 5}},
		{IORING_SETUP_CLAMP, Version{5, 6}},
		{IORING_SETUP_R_DISABLED, Version{5, 10}},
		{IORING_SETUP_SUBMIT_ALL, Version{5, 18}},
		{IORING_SETUP_COOP_TASKRUN, Version{5, 19}},
		{IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, Version{5, 19}},
		{IORING_SETUP_CQE32, Version{5, 19}},
		{IORING_SETUP_SQE128, Version{5, 19}},
		{IORING_SETUP_SQE128 | IORING_SETUP_CQE32, Version{5, 19}},
		{single, Version{6, 0}},
		{single | IORING_SETUP_SQPOLL, Version{6, 0}},
		{deferTW, Version{6, 1}},
		{deferTW | IORING_SETUP_TASKRUN_FLAG, Version{6, 1}},
		{deferTW | IORING_SETUP_COOP_TASKRUN, Version{6, 1}},
		{deferTW | IORING_SETUP_IOPOLL, Version{6, 1}},
		{deferTW | IORING_SETUP_R_DISABLED, Version{6, 1}},
		{IORING_SETUP_NO_SQARRAY, Version{6, 6}},
		{IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQPOLL, Version{6, 6}},
		{IORING_SETUP_NO_SQARRAY | IORING_SETUP_CQE32, Version{6, 6}},
		{IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQE128, Version{6, 6}},
		{IORING_SETUP_CQE_MIXED, Version{6, 18}},
		{IORING_SETUP_CQE_MIXED | IORING_SETUP_SQPOLL, Version{6, 18}},
		{IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE128 | deferTW, Version{6, 18}},
		{IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL, Version{5, 13}},
		{IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL, Version{6, 13}},
		{
			deferTW | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED |
				IORING_SETUP_SUBMIT_ALL | IORING_SETUP_NO_SQARRAY | IORING_SETUP_TASKRUN_FLAG,
			Version{6, 6},
		},
	} {
		t.Run(tt.flags.String(), func(t *testing.T) {
			needKernel(t, tt.since, tt.flags.String())
			lockThread(t)
			testkit.Watchdog(t, hang)
			r := newRing(t, 4, Params{Flags: tt.flags, CqEntries: 16, SqThreadCPU: allowedCPU(t)})
			require.Equal(t, tt.flags, r.Flags())
			if tt.flags&IORING_SETUP_R_DISABLED != 0 {
				_, errno := r.Enter(0, 0, 0)
				require.Equal(t, syscall.EBADFD, errno)
				require.NoError(t, r.Enable())
			}
			for range 5 { // once around the queue
				roundTrip(t, r)
			}
		})
	}
}

// allowedCPU returns a processor that this process may use.
func allowedCPU(t testing.TB) uint32 {
	t.Helper()
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			return uint32(cpu)
		}
	}
	t.Fatal("no processor")
	return 0
}

func TestSetupWithoutParams(t *testing.T) {
	needRing(t)
	r, err := New(4, nil)
	require.NoError(t, err)
	roundTrip(t, r)
	require.NoError(t, r.Close())
}

func TestSetupSizes(t *testing.T) {
	for _, tt := range []struct {
		entries, cqEntries uint32
		flags              SetupFlags
		sq, cq             uint32
	}{
		{1, 0, 0, 1, 2},
		{3, 0, 0, 4, 8},
		{8, 1, 0, 8, 16}, // without CQSIZE the request is ignored
		{1, 1, IORING_SETUP_CQSIZE, 1, 1},
		{3, 5, IORING_SETUP_CQSIZE, 4, 8},
		{5, 5, IORING_SETUP_CQSIZE, 8, 8},
		{100_000, 0, IORING_SETUP_CLAMP, MaxSQEntries, MaxCQEntries},
		{1, 100_000, IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE, 1, MaxCQEntries},
		{MaxSQEntries, 0, 0, MaxSQEntries, MaxCQEntries},
	} {
		needRing(t)
		p := Params{Flags: tt.flags, CqEntries: tt.cqEntries}
		r, err := New(tt.entries, &p)
		require.NoError(t, err, "%+v", tt)
		assert.Equal(t, tt.sq, r.SQ().Entries(), "%+v", tt)
		assert.Equal(t, tt.cq, r.CQ().Entries(), "%+v", tt)
		assert.Equal(t, tt.sq, p.SqEntries, "what the caller passed is filled in")
		assert.Equal(t, p, r.Params())
		roundTrip(t, r)
		require.NoError(t, r.Close())
	}
}

// featureSince is the first release of every feature that has one in the
// comments of its constant.
var featureSince = map[Features]Version{
	IORING_FEAT_SINGLE_MMAP:     {5, 4},
	IORING_FEAT_NODROP:          {5, 5},
	IORING_FEAT_SUBMIT_STABLE:   {5, 5},
	IORING_FEAT_RW_CUR_POS:      {5, 6},
	IORING_FEAT_CUR_PERSONALITY: {5, 6},
	IORING_FEAT_FAST_POLL:       {5, 7},
	IORING_FEAT_POLL_32BITS:     {5, 9},
	IORING_FEAT_SQPOLL_NONFIXED: {5, 11},
	IORING_FEAT_EXT_ARG:         {5, 11},
	IORING_FEAT_NATIVE_WORKERS:  {5, 12},
	IORING_FEAT_RSRC_TAGS:       {5, 13},
	IORING_FEAT_CQE_SKIP:        {5, 17},
	IORING_FEAT_LINKED_FILE:     {5, 17},
	IORING_FEAT_REG_REG_RING:    {6, 3},
	IORING_FEAT_RECVSEND_BUNDLE: {6, 10},
	IORING_FEAT_MIN_TIMEOUT:     {6, 12},
	IORING_FEAT_RW_ATTR:         {6, 14},
	IORING_FEAT_NO_IOWAIT:       {6, 15},
}

func TestSetupFeatures(t *testing.T) {
	r := newRing(t, 1, Params{Features: 1 << 31})
	kernel := running(t)
	require.Len(t, featureSince, len(featureNames))
	for f, since := range featureSince {
		told, known := f.Since()
		assert.True(t, known)
		assert.Equal(t, since, told, "%v", f)
		if kernel.AtLeast(since) {
			assert.NotZero(t, r.Features()&f, "%v since %v", f, since)
		}
	}
	assert.Zero(t, r.Features()&(1<<31), "the kernel fills them in")
	if q, err := Query(); err == nil {
		assert.Equal(t, Features(q.FeatureFlags), r.Features())
	}
}

func TestRingString(t *testing.T) {
	r := newRing(t, 4, Params{Flags: IORING_SETUP_CLAMP})
	require.Regexp(t, `^io_uring\{fd \d+, sq 4, cq 8, flags CLAMP, features SINGLE_MMAP\|`, r.String())
}

func TestRingClose(t *testing.T) {
	needRing(t)
	testkit.NoLeak(t)
	before := len(ringMappings(t))
	r, err := New(4, nil)
	require.NoError(t, err)
	require.Greater(t, len(ringMappings(t)), before)
	nop(t, r, 1) // never submitted
	require.NoError(t, r.Close())
	require.Len(t, ringMappings(t), before)
	require.Equal(t, -1, r.Fd())
	require.NoError(t, r.Close(), "a second time")

	_, errno := r.Enter(0, 0, 0)
	require.Equal(t, syscall.EBADF, errno, "not a descriptor that has the number by now")
	require.ErrorIs(t, r.Enable(), syscall.EBADF)
	require.Nil(t, r.SQ().Next())
	_, ok := r.CQ().Peek()
	require.False(t, ok)
}

// TestSetupOfUnknownForms: REGISTERED_FD_ONLY made New take the index of the
// ring for its descriptor and close that, which was somebody else's.
func TestSetupOfUnknownForms(t *testing.T) {
	testkit.NoLeak(t)
	for _, tt := range []struct {
		flags SetupFlags
		cause string
	}{
		{IORING_SETUP_NO_MMAP, "flags NO_MMAP lie in memory of the caller"},
		{IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY, "lie in memory of the caller"},
		{IORING_SETUP_REGISTERED_FD_ONLY, "REGISTERED_FD_ONLY needs NO_MMAP"},
		{IORING_SETUP_SQ_REWIND, "needs Linux 7.0"},
	} {
		_, err := New(4, &Params{Flags: tt.flags | IORING_SETUP_CLAMP})
		var setup *SetupError
		require.ErrorAs(t, err, &setup)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.False(t, setup.Final(), "something else would work")
		require.Contains(t, setup.Cause, tt.cause)
		require.NotContains(t, setup.Cause, "CLAMP")
	}
	_, err := NewInMemory(4, &Params{Flags: IORING_SETUP_SQ_REWIND}, nil)
	require.ErrorContains(t, err, "needs Linux 7.0")
}

// TestSetupNewerThanTheKernel: what is too new is refused by name and release.
func TestSetupNewerThanTheKernel(t *testing.T) {
	testkit.NeedKernel(t, 6, 18, "QUERY")
	needRing(t)
	q, err := Query()
	require.NoError(t, err)
	if SetupFlags(q.RingSetupFlags)&IORING_SETUP_SQE_MIXED != 0 {
		r := newRing(t, 4, Params{Flags: IORING_SETUP_SQE_MIXED})
		roundTrip(t, r)
		return
	}
	_, err = New(4, &Params{Flags: IORING_SETUP_SQE_MIXED})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "does not know the setup flags SQE_MIXED, which need Linux 6.19")
}

// TestSizesThatDoNotGoTogether: all large, or some.
func TestSizesThatDoNotGoTogether(t *testing.T) {
	testkit.NeedKernel(t, 6, 18, "CQE_MIXED")
	needRing(t)
	_, err := New(4, &Params{Flags: IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "CQE32 does not go with CQE_MIXED")
}

// TestRingIsNotInheritedByExec starts a program and looks at its descriptors.
func TestRingIsNotInheritedByExec(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		r := newRing(t, 1, Params{})
		flags, err := unix.FcntlInt(uintptr(r.Fd()), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)
		require.Contains(t, openFiles(t), ringFile)
	}
	if child(t) {
		require.NotEmpty(t, openFiles(t))
		require.NotContains(t, openFiles(t), ringFile)
	}
}

const ringFile = "anon_inode:[io_uring]"

// openFiles returns what the descriptors of the process lead to.
func openFiles(t testing.TB) []string {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	var files []string
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			files = append(files, target)
		}
	}
	return files
}

// TestRingIsNotInheritedByFork looks for the mark that keeps the kernel from
// giving the mappings to a forked child: Go itself never forks without exec.
func TestRingIsNotInheritedByFork(t *testing.T) {
	r := newRing(t, 4, Params{})
	maps := ringMappings(t)
	require.Len(t, maps, 2, "one for both queues, one for the entries")
	for _, flags := range maps {
		require.Contains(t, strings.Fields(flags), "dc", "dontcopy")
	}
	roundTrip(t, r)
}

// ringMappings returns the flags of every mapping of a ring.
func ringMappings(t testing.TB) []string {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	var flags []string
	ofRing := false
	for line := range strings.Lines(string(smaps)) {
		if f, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			if ofRing {
				flags = append(flags, f)
			}
			ofRing = false
		} else if strings.HasSuffix(strings.TrimSpace(line), ringFile) {
			ofRing = true
		}
	}
	return flags
}
