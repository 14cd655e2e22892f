package uring

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// registerError returns the error of a registration call: its name, what the
// kernel says and, where that is not enough, what it means here. ring is nil for
// a call without one.
func registerError(ring *Ring, op RegisterOp, errno syscall.Errno) error {
	err := os.NewSyscallError("io_uring_register("+op.String()+")", errno)
	if hint := registerHint(ring, op, errno); hint != "" {
		return fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

func registerHint(ring *Ring, op RegisterOp, errno syscall.Errno) string {
	switch errno {
	case syscall.EINVAL:
		if since, known := op.Since(); known && !knowsRegister(op, since) {
			return fmt.Sprintf("it needs Linux %v, and this is %s", since, kernelRelease())
		}
	case syscall.EEXIST:
		if ring != nil && ring.params.Flags&IORING_SETUP_SINGLE_ISSUER != 0 {
			return "the ring belongs to another thread (SINGLE_ISSUER; lock the goroutine to its thread)"
		}
	case syscall.EACCES:
		if ring != nil {
			return "the ring's restrictions do not allow it"
		}
	case syscall.EBADFD:
		if op == IORING_REGISTER_RESTRICTIONS || op == IORING_REGISTER_ENABLE_RINGS {
			return "the ring is enabled already"
		}
	}
	return registerHints[hintKey{op, errno}]
}

// hintKey is what an explanation is looked up by.
type hintKey struct {
	op    RegisterOp
	errno syscall.Errno
}

// registerHints explains errors that say little by themselves.
var registerHints = map[hintKey]string{
	{IORING_REGISTER_EVENTFD, syscall.EBUSY}:           "an eventfd is registered already",
	{IORING_REGISTER_EVENTFD_ASYNC, syscall.EBUSY}:     "an eventfd is registered already",
	{IORING_UNREGISTER_EVENTFD, syscall.ENXIO}:         "no eventfd is registered",
	{IORING_REGISTER_RESTRICTIONS, syscall.EBUSY}:      "it has restrictions already, which are for its whole life",
	{IORING_REGISTER_RING_FDS, syscall.EBUSY}:          "all 16 places of the thread are taken",
	{IORING_REGISTER_SYNC_CANCEL, syscall.ENOENT}:      "no request in flight is meant",
	{IORING_REGISTER_SYNC_CANCEL, ETIME}:               "they were told to end, but have not within the time",
	{IORING_REGISTER_CLOCK, syscall.EINVAL}:            "the clock is CLOCK_MONOTONIC or CLOCK_BOOTTIME",
	{IORING_REGISTER_RESIZE_RINGS, syscall.EINVAL}:     "the ring needs DEFER_TASKRUN, and sizes within the limits",
	{IORING_REGISTER_RESIZE_RINGS, syscall.EOVERFLOW}:  "what waits in the queues does not fit into the new ones",
	{IORING_REGISTER_MEM_REGION, syscall.EBUSY}:        "the ring has a region already",
	{IORING_REGISTER_MEM_REGION, syscall.EINVAL}:       "a region for waits is registered before the ring is enabled (R_DISABLED), in whole pages",
	{IORING_REGISTER_NAPI, syscall.EINVAL}:             "the ring must not be IOPOLL, and ids are added to static tracking only",
	{IORING_REGISTER_ZCRX_IFQ, syscall.EOPNOTSUPP}:     "the network device or its driver cannot receive without copying",
	{IORING_REGISTER_ZCRX_IFQ, syscall.ENODEV}:         "there is no network device of that index",
	{IORING_REGISTER_ZCRX_IFQ, syscall.EPERM}:          "it needs CAP_NET_ADMIN",
	{IORING_REGISTER_ZCRX_IFQ, syscall.EINVAL}:         "the ring needs DEFER_TASKRUN and CQE32 or CQE_MIXED, the queue a power of two of entries, an area and a region",
	{IORING_REGISTER_IOWQ_AFF, syscall.EINVAL}:         "there must be at least one processor, of those that the ring's thread may use",
	{IORING_REGISTER_SEND_MSG_RING, syscall.EBADFD}:    "the descriptor is that of no ring, or of one that is not enabled",
	{IORING_REGISTER_SEND_MSG_RING, syscall.EOVERFLOW}: "the target has no room for the message",
	{IORING_REGISTER_IOWQ_MAX_WORKERS, syscall.EINVAL}: "the numbers must fit into 31 bits",
	{IORING_REGISTER_QUERY, syscall.EOPNOTSUPP}:        "this kernel does not know the question",
	{IORING_REGISTER_PBUF_RING, syscall.EEXIST}:        "the group exists already",
	{IORING_UNREGISTER_PBUF_RING, syscall.ENOENT}:      "the group does not exist",
	{IORING_UNREGISTER_PBUF_RING, syscall.EINVAL}:      "the group is no ring of buffers",
	{IORING_REGISTER_PBUF_STATUS, syscall.ENOENT}:      "the group does not exist",
	{IORING_REGISTER_FILE_ALLOC_RANGE, syscall.EINVAL}: "the range must lie within the table of registered files",
	{IORING_REGISTER_CLONE_BUFFERS, syscall.EBUSY}:     "the ring has registered buffers already",
	{IORING_REGISTER_BUFFERS, syscall.EBUSY}:           "the ring has registered buffers already",
	{IORING_REGISTER_BUFFERS2, syscall.EBUSY}:          "the ring has registered buffers already",
	{IORING_REGISTER_FILES, syscall.EBUSY}:             "the ring has registered files already",
	{IORING_REGISTER_FILES2, syscall.EBUSY}:            "the ring has registered files already",
	{IORING_UNREGISTER_BUFFERS, syscall.ENXIO}:         "the ring has no registered buffers",
	{IORING_UNREGISTER_FILES, syscall.ENXIO}:           "the ring has no registered files",
	{IORING_UNREGISTER_PERSONALITY, syscall.EINVAL}:    "there is no personality of that number",
}

// knowsRegister reports whether the running kernel has a registration call: by
// its own word if it gives that, by its version otherwise.
func knowsRegister(op RegisterOp, since Version) bool {
	if op == IORING_REGISTER_QUERY {
		return runningVersion().AtLeast(since)
	}
	if q, err := Query(); err == nil {
		return uint32(op) < q.NrRegisterOpcodes
	} else if !errors.Is(err, syscall.EINVAL) {
		return true // a filter, say: nothing is known
	}
	return runningVersion().AtLeast(since)
}

// runningVersion returns the release of the kernel, or a very new one if it
// cannot be read.
func runningVersion() Version {
	var v Version
	if _, err := fmt.Sscanf(kernelRelease(), "Linux %d.%d", &v.Major, &v.Minor); err != nil {
		return Version{Major: 1 << 30}
	}
	return v
}
