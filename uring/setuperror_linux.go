package uring

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	disabledSysctl = "/proc/sys/kernel/io_uring_disabled"
	groupSysctl    = "/proc/sys/kernel/io_uring_group"
)

func newSetupError(entries uint32, p Params, errno syscall.Errno) *SetupError {
	e := &SetupError{Entries: entries, Flags: p.Flags, Errno: errno}
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		e.Cause, e.Remedy = explainDenied()
	case syscall.ENOSYS:
		if mode := procField("/proc/self/status", "Seccomp:"); mode == "2" {
			e.Cause = "a seccomp filter hides io_uring from this process, as some container runtimes do"
			e.Remedy = seccompRemedy
		} else {
			e.Cause = "the kernel (" + kernelRelease() + ") has no io_uring"
			e.Remedy = "use Linux 5.1 or later, built with CONFIG_IO_URING"
		}
	case syscall.EINVAL:
		e.Cause, e.Remedy = explainInvalid(entries, p)
	case syscall.ENOMEM:
		e.Cause = fmt.Sprintf("no memory for the rings: before Linux 5.12 they count against RLIMIT_MEMLOCK (now %s), later against the memory cgroup", rlimit(unix.RLIMIT_MEMLOCK))
		e.Remedy = "raise the limit (ulimit -l, systemd LimitMEMLOCK=, docker --ulimit memlock=-1) or the cgroup's memory.max, or ask for fewer entries"
	case syscall.EMFILE:
		e.Cause = fmt.Sprintf("the process has no free file descriptor (RLIMIT_NOFILE is %s)", rlimit(unix.RLIMIT_NOFILE))
		e.Remedy = "raise the limit (ulimit -n, systemd LimitNOFILE=) or close descriptors"
	case syscall.ENFILE:
		e.Cause = "the system has no free file descriptor"
		e.Remedy = "raise the sysctl fs.file-max"
	default:
		e.Cause = "unexpected"
		e.Remedy = "see io_uring_setup(2)"
	}
	return e
}

const seccompRemedy = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"

// explainDenied tells the three ways of forbidding io_uring apart: the
// sysctl, a seccomp filter, a security module.
func explainDenied() (cause, remedy string) {
	switch value := procWord(disabledSysctl); value {
	case "2":
		return "the sysctl kernel.io_uring_disabled is 2: io_uring is off for every process",
			"set it to 0 (sysctl -w kernel.io_uring_disabled=0), or to 1 and use kernel.io_uring_group"
	case "1":
		group := procWord(groupSysctl)
		return "the sysctl kernel.io_uring_disabled is 1 and the process neither has CAP_SYS_ADMIN nor is in kernel.io_uring_group (" + group + ")",
			"add the process to that group, or set kernel.io_uring_disabled to 0"
	}
	if mode := procField("/proc/self/status", "Seccomp:"); mode == "2" {
		return "a seccomp filter is active in this process and most likely forbids io_uring (Docker's and containerd's default profiles do)", seccompRemedy
	}
	return "the kernel allows io_uring (kernel.io_uring_disabled is not set), so most likely a security module (SELinux, AppArmor) forbids it",
		"look for a denial in the kernel's audit log and allow io_uring there"
}

// explainInvalid looks for the argument that the kernel did not take.
func explainInvalid(entries uint32, p Params) (cause, remedy string) {
	const mostEntries = 32768
	switch {
	case entries == 0 || entries > mostEntries && p.Flags&IORING_SETUP_CLAMP == 0:
		return fmt.Sprintf("the number of entries is %d", entries),
			fmt.Sprintf("ask for 1 to %d, or set IORING_SETUP_CLAMP", mostEntries)
	case p.Flags&IORING_SETUP_CQSIZE != 0 && p.CqEntries < entries:
		return fmt.Sprintf("the completion queue (%d) is smaller than the submission queue (%d)", p.CqEntries, entries),
			"ask for at least as many completion entries, better four times as many"
	}
	if q, err := Query(); err == nil {
		if unknown := p.Flags &^ SetupFlags(q.RingSetupFlags); unknown != 0 {
			return fmt.Sprintf("the kernel (%s) does not know the setup flags %v", kernelRelease(), unknown),
				"leave them out or use a newer kernel"
		}
		return "the kernel knows all these flags, so the combination is one it refuses (for instance DEFER_TASKRUN without SINGLE_ISSUER, or SQPOLL with COOP_TASKRUN)",
			"see io_uring_setup(2) for what goes together"
	}
	return "the kernel (" + kernelRelease() + ") does not know one of these flags or their combination",
		"leave out the newest flags first"
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown release"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

func rlimit(resource int) string {
	var lim unix.Rlimit
	if err := unix.Getrlimit(resource, &lim); err != nil {
		return "unknown"
	}
	if lim.Cur == ^uint64(0) {
		return "unlimited"
	}
	return fmt.Sprint(lim.Cur)
}

func procWord(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unreadable"
	}
	return strings.TrimSpace(string(b))
}

func procField(path, key string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
