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
	statusFile     = "/proc/thread-self/status"
)

// system is where an explanation finds out about the system it runs on.
type system struct {
	read    func(path string) (string, error) // a small file
	release func() string                     // of the kernel
	limit   func(resource int) string         // of the process
	query   func() (QueryOpcode, error)       // what the kernel knows
}

var runningSystem = system{read: readFile, release: kernelRelease, limit: rlimit, query: Query}

func newSetupError(entries uint32, p Params, errno syscall.Errno) *SetupError {
	e := &SetupError{Entries: entries, Flags: p.Flags, Errno: errno}
	e.Cause, e.Remedy = runningSystem.explain(entries, p, errno)
	return e
}

// explain returns the likely cause of a failed setup and what to do about it.
func (s system) explain(entries uint32, p Params, errno syscall.Errno) (cause, remedy string) {
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		return s.explainDenied(p)
	case syscall.ENOSYS:
		if s.filtered() {
			return "a seccomp filter hides io_uring from this process, as some container runtimes do", seccompRemedy
		}
		return "the kernel (" + s.release() + ") has no io_uring",
			"use Linux 5.1 or later, built with CONFIG_IO_URING"
	case syscall.EINVAL:
		return s.explainInvalid(entries, p)
	case syscall.ENOTSUP:
		return explainUnmappable(p.Flags)
	case syscall.ENOMEM:
		return fmt.Sprintf("no memory for the rings: before Linux 5.12 they count against RLIMIT_MEMLOCK (now %s), later against the memory cgroup", s.limit(unix.RLIMIT_MEMLOCK)),
			"raise the limit (ulimit -l, systemd LimitMEMLOCK=, docker --ulimit memlock=-1) or the cgroup's memory.max, or ask for fewer entries"
	case syscall.EMFILE:
		return fmt.Sprintf("the process has no free file descriptor (RLIMIT_NOFILE is %s)", s.limit(unix.RLIMIT_NOFILE)),
			"raise the limit (ulimit -n, systemd LimitNOFILE=) or close descriptors"
	case syscall.ENFILE:
		return "the system has no free file descriptor", "raise the sysctl fs.file-max"
	}
	if p.Flags&IORING_SETUP_ATTACH_WQ != 0 {
		return explainAttach(p)
	}
	return "unexpected", "see io_uring_setup(2)"
}

// explainUnmappable tells what to do instead of New with flags that it refuses.
func explainUnmappable(f SetupFlags) (cause, remedy string) {
	switch {
	case f&IORING_SETUP_SQ_REWIND != 0:
		return "SQ_REWIND needs Linux 7.0, and package uring has no queue for it", "leave it out"
	case f&IORING_SETUP_NO_MMAP != 0:
		return "the queues of a ring with the setup flags " + (f & unmappable).String() + " lie in memory of the caller",
			"call NewInMemory with at least RingMemorySize bytes, or leave them out"
	}
	return "REGISTERED_FD_ONLY needs NO_MMAP", "set both and call NewInMemory, or leave it out"
}

func explainAttach(p Params) (cause, remedy string) {
	return fmt.Sprintf("ATTACH_WQ was given descriptor %d, which most likely is no ring of this kind", p.WqFd),
		"put the descriptor of an open ring into Params.WqFd"
}

const seccompRemedy = "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile " +
	"(docker run --security-opt seccomp=FILE, Kubernetes securityContext.seccompProfile, systemd SystemCallFilter=)"

// explainDenied tells the ways of forbidding io_uring apart: the sysctl, a
// seccomp filter, a security module.
func (s system) explainDenied(p Params) (cause, remedy string) {
	switch s.word(disabledSysctl) {
	case "2":
		return "the sysctl kernel.io_uring_disabled is 2: io_uring is off for every process",
			"set it to 0 (sysctl -w kernel.io_uring_disabled=0, and in a file of /etc/sysctl.d to keep it so), or to 1 and use kernel.io_uring_group"
	case "1":
		const cause = "the sysctl kernel.io_uring_disabled is 1 and the process has no CAP_SYS_ADMIN"
		group := s.word(groupSysctl)
		if group == "" || strings.HasPrefix(group, "-") {
			return cause + ", and kernel.io_uring_group allows no group",
				"set kernel.io_uring_group to a group of the process, or kernel.io_uring_disabled to 0"
		}
		return cause + " and is not in the group " + group + " of kernel.io_uring_group",
			"add the process to that group, or set kernel.io_uring_disabled to 0"
	}
	if s.filtered() {
		return "a seccomp filter is active in this process and most likely forbids io_uring (Docker's and containerd's default profiles do)", seccompRemedy
	}
	if p.Flags&IORING_SETUP_SQPOLL != 0 && s.word(disabledSysctl) == "" {
		return "before Linux 5.13 (this is " + s.release() + ") SQPOLL is for privileged processes",
			"leave SQPOLL out, or give the process CAP_SYS_NICE"
	}
	return "neither the sysctl kernel.io_uring_disabled nor a seccomp filter forbids io_uring, so most likely a security module (SELinux, AppArmor) does",
		"look for a denial in the kernel's audit log and allow io_uring there"
}

// explainInvalid looks for the argument that the kernel did not take: in the
// order of certainty, the sizes, flags that are unknown, flags that do not go
// together.
func (s system) explainInvalid(entries uint32, p Params) (cause, remedy string) {
	clamp := p.Flags&IORING_SETUP_CLAMP != 0
	switch {
	case entries == 0:
		return "the number of entries is 0", fmt.Sprintf("ask for 1 to %d", MaxSQEntries)
	case entries > MaxSQEntries && !clamp:
		return fmt.Sprintf("the number of entries is %d", entries),
			fmt.Sprintf("ask for 1 to %d, or set CLAMP", MaxSQEntries)
	case p.Resv != [3]uint32{}:
		return "Params.Resv is not zero", "begin with an empty Params"
	}
	if p.Flags&IORING_SETUP_CQSIZE != 0 {
		switch sq := roundUp(min(entries, MaxSQEntries)); {
		case p.CqEntries > MaxCQEntries && !clamp:
			return fmt.Sprintf("the number of completion entries is %d", p.CqEntries),
				fmt.Sprintf("ask for at most %d, or set CLAMP", MaxCQEntries)
		case roundUp(min(p.CqEntries, MaxCQEntries)) < sq:
			return fmt.Sprintf("the completion queue (%d) is smaller than the submission queue (%d)", p.CqEntries, sq),
				"ask for at least as many completion entries, better four times as many"
		}
	}
	q, err := s.query()
	if unknown := p.Flags &^ SetupFlags(q.RingSetupFlags); err == nil && unknown != 0 {
		cause := fmt.Sprintf("the kernel (%s) does not know the setup flags %v", s.release(), unknown)
		if since, known := unknown.Since(); known {
			cause += fmt.Sprintf(", which need Linux %v", since)
		}
		return cause, "leave them out or use a newer kernel"
	}
	for _, c := range flagConflicts {
		if c.holds(p.Flags) {
			return c.cause, c.remedy
		}
	}
	if p.Flags&IORING_SETUP_ATTACH_WQ != 0 {
		return explainAttach(p)
	}
	if err == nil {
		return "the kernel knows all these flags, so it refuses their combination, or an argument that goes with one",
			"see io_uring_setup(2) for what goes together"
	}
	return "the kernel (" + s.release() + ") does not know one of these flags or their combination",
		"leave out the newest flags first"
}

// flagConflict is a combination of setup flags that the kernel refuses: all of
// these without any of those. If several are set in any, one of them suffices.
type flagConflict struct {
	any, with, without SetupFlags
	cause, remedy      string
}

func (c flagConflict) holds(f SetupFlags) bool {
	return f&c.any != 0 && f&c.with == c.with && f&c.without == 0
}

var flagConflicts = []flagConflict{
	{
		IORING_SETUP_DEFER_TASKRUN, 0, IORING_SETUP_SINGLE_ISSUER,
		"DEFER_TASKRUN needs SINGLE_ISSUER", "set both",
	},
	{
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SQPOLL, 0,
		"SQPOLL does not go with COOP_TASKRUN, TASKRUN_FLAG and DEFER_TASKRUN, because its thread runs the completion work",
		"leave those out, or SQPOLL",
	},
	{
		IORING_SETUP_CQE32, IORING_SETUP_CQE_MIXED, 0,
		"CQE32 does not go with CQE_MIXED: all completions have 32 bytes, or some", "leave one of them out",
	},
	{
		IORING_SETUP_SQE128, IORING_SETUP_SQE_MIXED, 0,
		"SQE128 does not go with SQE_MIXED: all entries have 128 bytes, or some", "leave one of them out",
	},
	{
		IORING_SETUP_TASKRUN_FLAG, 0, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN,
		"TASKRUN_FLAG needs COOP_TASKRUN or DEFER_TASKRUN", "set one of them",
	},
	{
		IORING_SETUP_SQ_AFF, 0, IORING_SETUP_SQPOLL,
		"SQ_AFF needs SQPOLL", "set both",
	},
	{
		IORING_SETUP_HYBRID_IOPOLL, 0, IORING_SETUP_IOPOLL,
		"HYBRID_IOPOLL needs IOPOLL", "set both",
	},
	{
		IORING_SETUP_SQ_AFF, IORING_SETUP_SQPOLL, 0,
		"SQ_AFF most likely names a processor that this process may not use",
		"put the number of an allowed processor into Params.SqThreadCPU",
	},
}

// filtered reports whether the process runs under a seccomp filter.
func (s system) filtered() bool {
	status, err := s.read(statusFile)
	if err != nil {
		return false
	}
	for line := range strings.Lines(status) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(mode) == "2"
		}
	}
	return false
}

// word returns what a sysctl is set to, or nothing if it does not exist.
func (s system) word(path string) string {
	text, err := s.read(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
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
	if lim.Cur == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprint(lim.Cur)
}
