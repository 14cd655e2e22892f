package uring

import "structs"

// EnterFlags is the flags word of io_uring_enter(2).
type EnterFlags uint32

// What one call to io_uring_enter does, with the release each bit appeared in.
const (
	IORING_ENTER_GETEVENTS       EnterFlags = 1 << 0 // wait for, and process, completions (5.1)
	IORING_ENTER_SQ_WAKEUP       EnterFlags = 1 << 1 // wake the SQPOLL thread (5.1)
	IORING_ENTER_SQ_WAIT         EnterFlags = 1 << 2 // wait for room in the SQ (5.10)
	IORING_ENTER_EXT_ARG         EnterFlags = 1 << 3 // the argument is a GetEventsArg (5.11)
	IORING_ENTER_REGISTERED_RING EnterFlags = 1 << 4 // the ring is a registered index (5.18)
	IORING_ENTER_ABS_TIMER       EnterFlags = 1 << 5 // the timeout is a point in time (6.12)
	IORING_ENTER_EXT_ARG_REG     EnterFlags = 1 << 6 // the argument is an offset into a region (6.13)
	IORING_ENTER_NO_IOWAIT       EnterFlags = 1 << 7 // do not account the wait as I/O wait (6.15)
)

var enterNames = flagNames{
	{1 << 0, "GETEVENTS"},
	{1 << 1, "SQ_WAKEUP"},
	{1 << 2, "SQ_WAIT"},
	{1 << 3, "EXT_ARG"},
	{1 << 4, "REGISTERED_RING"},
	{1 << 5, "ABS_TIMER"},
	{1 << 6, "EXT_ARG_REG"},
	{1 << 7, "NO_IOWAIT"},
}

// String names the flags that are set.
func (f EnterFlags) String() string { return enterNames.format(uint64(f)) }

// Timespec is the kernel's 64-bit time value, the same on every architecture.
type Timespec struct {
	_    structs.HostLayout
	Sec  int64
	Nsec int64
}

// GetEventsArg is the argument of io_uring_enter(2) with
// IORING_ENTER_EXT_ARG. Sigmask and Ts are addresses, 0 for none.
type GetEventsArg struct {
	_           structs.HostLayout
	Sigmask     uint64
	SigmaskSz   uint32
	MinWaitUsec uint32 // since 6.12, IORING_FEAT_MIN_TIMEOUT
	Ts          uint64
}

// RegWaitFlags says which fields of a RegWait hold.
type RegWaitFlags uint32

// IORING_REG_WAIT_TS says that RegWait.Ts is a timeout.
const IORING_REG_WAIT_TS RegWaitFlags = 1 << 0

var regWaitNames = flagNames{
	{1 << 0, "TS"},
}

// String names the flags that are set.
func (f RegWaitFlags) String() string { return regWaitNames.format(uint64(f)) }

// RegWait is one entry of a registered wait region; an enter with
// IORING_ENTER_EXT_ARG_REG passes its byte offset instead of an argument.
type RegWait struct {
	_           structs.HostLayout
	Ts          Timespec
	MinWaitUsec uint32
	Flags       RegWaitFlags
	Sigmask     uint64
	SigmaskSz   uint32
	Pad         [3]uint32
	Pad2        [2]uint64
}
