package uring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// hang is when a test that waits for the kernel is taken to wait for ever.
const hang = 30 * time.Second

// ringDenied returns why this process may not have a ring at all, or nil.
func ringDenied() error {
	r, err := New(1, nil)
	if err != nil && (errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported)) {
		return err
	}
	if err == nil {
		_ = r.Close()
	}
	return nil
}

// needRing skips the test where nobody gets a ring.
func needRing(t testing.TB) {
	t.Helper()
	if err := ringDenied(); err != nil {
		testkit.Skip(t, "%v", err)
	}
}

// newRing returns a ring that is closed when the test ends.
func newRing(t testing.TB, entries uint32, p Params) *Ring {
	t.Helper()
	needRing(t)
	r, err := New(entries, &p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// running returns the release of the kernel.
func running(t testing.TB) Version {
	t.Helper()
	var v Version
	_, err := fmt.Sscanf(kernelRelease(), "Linux %d.%d", &v.Major, &v.Minor)
	require.NoError(t, err)
	return v
}

func needKernel(t testing.TB, v Version, feature string) {
	t.Helper()
	testkit.NeedKernel(t, v.Major, v.Minor, feature)
}

// lockThread keeps the test on its thread, for rings that have one issuer. It
// comes before newRing, so that the ring is closed on that thread.
func lockThread(t testing.TB) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// elsewhere runs f on another thread than the one the caller is locked to, and
// waits for it.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

// onceOnThread runs f on a thread that has ended when it returns, or very soon
// after.
func onceOnThread(f func()) {
	for ran := false; !ran; {
		done := make(chan struct{})
		go func() {
			defer close(done)
			// Never unlocked, so that the thread ends with the goroutine,
			// unless it is the first one of the process.
			runtime.LockOSThread()
			if unix.Gettid() != os.Getpid() {
				ran = true
				f()
			}
		}()
		<-done
	}
}

// shape is a way of setting up a ring under which everything that does not
// concern the difference must be the same.
type shape struct {
	name  string
	flags SetupFlags
	since Version
}

var shapes = []shape{
	{"array", 0, Version{5, 1}},
	{"noarray", IORING_SETUP_NO_SQARRAY, Version{6, 6}},
	{"coop", IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, Version{5, 19}},
	{"defer", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, Version{6, 1}},
	{"deferflag", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG, Version{6, 1}},
	{"wide", IORING_SETUP_CQE32, Version{5, 19}},
	{"wider", IORING_SETUP_CQE32 | IORING_SETUP_SQE128, Version{5, 19}},
	{"mixed", IORING_SETUP_CQE_MIXED | IORING_SETUP_NO_SQARRAY, Version{6, 18}},
	{"sqpoll", IORING_SETUP_SQPOLL, Version{5, 13}},
}

// forShapes runs a test on rings of every shape, locked to a thread.
func forShapes(t *testing.T, f func(t *testing.T, s shape)) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			needKernel(t, s.since, s.flags.String())
			lockThread(t)
			testkit.Watchdog(t, hang)
			f(t, s)
		})
	}
}

// next takes an entry. The thread of SQPOLL gives entries back a little after
// their completions have come.
func next(t testing.TB, r *Ring) *SQE {
	t.Helper()
	if r.Flags()&IORING_SETUP_SQPOLL != 0 && r.SQ().Space() == 0 {
		testkit.Eventually(t, func() bool { return r.SQ().Space() > 0 }, "the kernel takes an entry")
	}
	sqe := r.SQ().Next()
	require.NotNil(t, sqe, "the queue is full")
	return sqe
}

// nop takes an entry and makes it a NOP.
func nop(t testing.TB, r *Ring, userData uint64) {
	t.Helper()
	sqe := next(t, r)
	sqe.PrepNop()
	sqe.UserData = userData
}

// one waits for exactly one completion.
func one(t testing.TB, r *Ring) CQE {
	t.Helper()
	_, err := r.SubmitAndWait(1, hang)
	require.NoError(t, err)
	var cqes [4]CQE
	require.Equal(t, 1, r.CQ().Reap(cqes[:]), "%v", cqes)
	return cqes[0]
}

// submit1 submits the entry that fill makes and returns its completion.
func submit1(t testing.TB, r *Ring, fill func(sqe *SQE)) CQE {
	t.Helper()
	fill(next(t, r))
	return one(t, r)
}

// roundTrip shows that the ring works.
func roundTrip(t testing.TB, r *Ring) {
	t.Helper()
	nop(t, r, 0xfeed)
	cqe := one(t, r)
	require.Equal(t, uint64(0xfeed), cqe.UserData)
	require.Zero(t, cqe.Res)
}

// socketPair returns two connected stream sockets, closed with the test.
func socketPair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func write(t testing.TB, fd int, text string) {
	t.Helper()
	n, err := unix.Write(fd, []byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

const childEnv = "YAMANOTE_URING_CHILD"

// child returns true in a process that runs nothing but this test, with its
// process-wide state its own. In the test binary itself it starts that process,
// expects that the test passes there, and returns false.
func child(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		return true
	}
	self, err := os.Executable()
	require.NoError(t, err)
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), self, "-test.run="+pattern, "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the child did not run the test")
	return false
}
