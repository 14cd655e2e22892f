package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

const denyChildEnv = "YAMANOTE_SYS_DENY_CHILD"

// TestDenyRing denies the ring in a process of its own: there is no way back.
func TestDenyRing(t *testing.T) {
	if os.Getenv(denyChildEnv) != "" {
		denyChild(t)
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestDenyRing$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), denyChildEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "every thread refused")
}

func denyChild(t *testing.T) {
	// Threads that exist before the filter does must get it too.
	const threads = 4
	var ready, done sync.WaitGroup
	denied := make(chan struct{})
	errs := make([]error, threads)
	ready.Add(threads)
	for i := range threads {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-denied
			errs[i] = TryRing()
		})
	}
	ready.Wait()
	require.NoError(t, DenyRing())
	close(denied)
	done.Wait()
	for _, err := range append(errs, TryRing()) {
		require.ErrorIs(t, err, unix.EPERM)
	}
	for _, nr := range []uintptr{unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER} {
		_, _, errno := unix.Syscall6(nr, ^uintptr(0), 0, 0, 0, 0, 0)
		require.Equal(t, unix.EPERM, errno, "system call %d", nr)
	}
	require.Equal(t, os.Getpid(), unix.Getpid(), "other calls still work")
	require.NoError(t, DenyRing(), "a second filter on top is allowed")
	fmt.Println("every thread refused")
}

func TestTryRingLeavesNothingOpen(t *testing.T) {
	testkit.NoLeak(t)
	if err := TryRing(); err != nil {
		// A test of the denied leg, or a kernel or sysctl that refuses.
		require.True(t, errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS), "%v", err)
	}
}

// TestDenyRingFilter runs the program in an interpreter, for what this machine
// cannot show: other architectures and other ABIs.
func TestDenyRingFilter(t *testing.T) {
	const allow, deny = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | 1
	tests := []struct {
		goarch string
		arch   uint32
		nr     uint32
		want   int
	}{
		{"amd64", unix.AUDIT_ARCH_X86_64, 424, allow},
		{"amd64", unix.AUDIT_ARCH_X86_64, 425, deny},
		{"amd64", unix.AUDIT_ARCH_X86_64, 426, deny},
		{"amd64", unix.AUDIT_ARCH_X86_64, 427, deny},
		{"amd64", unix.AUDIT_ARCH_X86_64, 428, allow},
		{"amd64", unix.AUDIT_ARCH_X86_64, 0, allow},
		{"amd64", unix.AUDIT_ARCH_X86_64, ^uint32(0), allow},
		{"amd64", unix.AUDIT_ARCH_X86_64, x32Bit | 425, deny},
		{"amd64", unix.AUDIT_ARCH_X86_64, x32Bit | 1, allow},
		{"amd64", unix.AUDIT_ARCH_I386, 425, deny},
		{"amd64", unix.AUDIT_ARCH_I386, 1, allow},
		{"amd64", unix.AUDIT_ARCH_AARCH64, 1, deny},
		{"arm64", unix.AUDIT_ARCH_AARCH64, 425, deny},
		{"arm64", unix.AUDIT_ARCH_AARCH64, 427, deny},
		{"arm64", unix.AUDIT_ARCH_AARCH64, 64, allow},
		{"arm64", unix.AUDIT_ARCH_ARM, 426, deny},
		{"arm64", unix.AUDIT_ARCH_ARM, 4, allow},
		{"arm64", unix.AUDIT_ARCH_X86_64, 1, deny},
	}
	for _, tt := range tests {
		filter, err := denyRingFilter(tt.goarch)
		require.NoError(t, err)
		require.Equal(t, tt.want, interpret(t, filter, tt.nr, tt.arch), "%s: call %#x of architecture %#x", tt.goarch, tt.nr, tt.arch)
	}

	_, err := denyRingFilter("mips")
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// interpret runs a seccomp filter. The interpreter reads its input in network
// byte order and the kernel reads struct seccomp_data in its own, so the words
// are stored big-endian here.
func interpret(t *testing.T, filter []unix.SockFilter, nr, arch uint32) int {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(filter))
	for i, f := range filter {
		raw[i] = bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	program, all := bpf.Disassemble(raw)
	require.True(t, all, "%v", program)
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	data := binary.BigEndian.AppendUint32(nil, nr)
	data = binary.BigEndian.AppendUint32(data, arch)
	verdict, err := vm.Run(data)
	require.NoError(t, err)
	return verdict
}
