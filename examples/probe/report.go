package main

import (
	"errors"
	"runtime"

	"github.com/yamanote-go/yamanote/uring"
)

// Report is all that the probe has found out. Its JSON form is what -json
// prints.
type Report struct {
	System    System  `json:"system"`
	Ring      Ring    `json:"ring"`
	Forbidden Rules   `json:"rules"`
	Limits    Limits  `json:"limits"`
	Kernel    *Kernel `json:"kernel,omitempty"` // nil where there is no io_uring to ask
	ToDo      []Hint  `json:"toDo"`
}

// System is what the program runs on.
type System struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel,omitempty"`
	Go         string `json:"go"`
	Processors int    `json:"processors"`
}

// Ring says whether this process may have a ring, and why not.
type Ring struct {
	Allowed bool   `json:"allowed"`
	Error   string `json:"error,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
}

// Rules are what can forbid a process a ring. Nil and empty mean that it does
// not exist here or cannot be read.
type Rules struct {
	Disabled *int   `json:"ioUringDisabled,omitempty"` // sysctl kernel.io_uring_disabled: 0, 1 or 2
	Group    *int   `json:"ioUringGroup,omitempty"`    // sysctl kernel.io_uring_group, -1 for none
	Seccomp  string `json:"seccomp,omitempty"`         // "off", "strict" or "filter"
	Admin    *bool  `json:"capSysAdmin,omitempty"`     // the process has CAP_SYS_ADMIN
	Lock     *bool  `json:"capIpcLock,omitempty"`      // the process has CAP_IPC_LOCK
}

// Limits are those of the process, and of every ring.
type Limits struct {
	OpenFiles         *Limit `json:"openFiles,omitempty"`
	LockedMemory      *Limit `json:"lockedMemoryBytes,omitempty"`
	SubmissionEntries int    `json:"submissionEntries"`
	CompletionEntries int    `json:"completionEntries"`
}

// Limit is a soft limit, which the process may raise up to the hard one. -1 is
// none.
type Limit struct {
	Soft int64 `json:"soft"`
	Hard int64 `json:"hard"`
}

// Kernel is what the kernel knows, in the order of the numbers.
type Kernel struct {
	Operations    []Item `json:"operations"`
	Registrations []Item `json:"registrations"`
	SetupFlags    []Item `json:"setupFlags"`
	EnterFlags    []Item `json:"enterFlags"`
	EntryFlags    []Item `json:"entryFlags"`
	Features      []Item `json:"features"`
}

// Item is one thing that a kernel has or has not.
type Item struct {
	Name  string `json:"name"`
	Since string `json:"since"`     // the release that brought it
	Has   *bool  `json:"supported"` // null if the kernel cannot be asked
}

// Hint is one thing to do, and why.
type Hint struct {
	Do  string `json:"do"`
	Why string `json:"why"`
}

// gather asks the system.
func gather() *Report {
	r := &Report{
		System: System{
			OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), Processors: runtime.NumCPU(),
			Kernel: readWord("/proc/sys/kernel/osrelease"),
		},
		Forbidden: readRules(),
		Limits:    readLimits(),
	}
	r.askRing()
	r.ToDo = r.hints()
	return r
}

// askRing tries to get a ring and, with it or without, to learn from the kernel.
func (r *Report) askRing() {
	ring, err := newRing(uring.Params{})
	if err != nil {
		r.Ring = explain(err)
	} else {
		defer ring.Close()
		r.Ring.Allowed = true
	}
	query, queryErr := uring.Query()
	if err != nil && queryErr != nil {
		return // nobody answers
	}
	k := &Kernel{}
	ops, probed := ask(ring)
	for info := range uring.Ops() {
		has := verdict(probed, ops.Has(info.Op))
		if has == nil && queryErr == nil {
			has = verdict(true, uint32(info.Op) < query.NrRequestOpcodes)
		}
		k.Operations = append(k.Operations, Item{info.Name, info.Since.String(), has})
	}
	for op := range uring.IORING_REGISTER_LAST {
		since, _ := op.Since()
		k.Registrations = append(k.Registrations,
			Item{op.String(), since.String(), verdict(queryErr == nil, uint32(op) < query.NrRegisterOpcodes)})
	}
	k.SetupFlags = flags[uring.SetupFlags](verdicts(queryErr == nil, query.RingSetupFlags, trySetup))
	k.EnterFlags = flags[uring.EnterFlags](verdicts(queryErr == nil, query.EnterFlags, nil))
	k.EntryFlags = flags[uring.SQEFlags](verdicts(queryErr == nil, query.SqeFlags, nil))
	k.Features = flags[uring.Features](verdicts(queryErr == nil || ring != nil, features(ring, query), nil))
	r.Kernel = k
}

// explain turns the error of a setup into its parts.
func explain(err error) Ring {
	out := Ring{Error: err.Error()}
	if setup, ok := errors.AsType[*uring.SetupError](err); ok {
		out.Cause, out.Remedy = setup.Cause, setup.Remedy
	}
	return out
}

// verdict is what is known, or nil.
func verdict(known, has bool) *bool {
	if !known {
		return nil
	}
	return &has
}

// verdicts returns what is known of the flag with a bit number: from the bits
// if the kernel has told them, by trying otherwise.
func verdicts(known bool, bits uint64, try func(bit int) *bool) func(bit int) *bool {
	return func(bit int) *bool {
		if !known && try != nil {
			return try(bit)
		}
		return verdict(known, bits&(1<<bit) != 0)
	}
}

// flags lists the flags of a type that package uring knows.
func flags[F interface {
	~uint8 | ~uint32
	Since() (uring.Version, bool)
	String() string
}](has func(bit int) *bool) []Item {
	var items []Item
	for bit := range 32 {
		f := F(uint64(1) << bit)
		if f == 0 {
			break
		}
		if since, known := f.Since(); known {
			items = append(items, Item{f.String(), since.String(), has(bit)})
		}
	}
	return items
}

// prerequisites are what a setup flag needs beside itself.
var prerequisites = map[uring.SetupFlags]uring.SetupFlags{
	uring.IORING_SETUP_SQ_AFF:        uring.IORING_SETUP_SQPOLL,
	uring.IORING_SETUP_TASKRUN_FLAG:  uring.IORING_SETUP_COOP_TASKRUN,
	uring.IORING_SETUP_DEFER_TASKRUN: uring.IORING_SETUP_SINGLE_ISSUER,
	uring.IORING_SETUP_HYBRID_IOPOLL: uring.IORING_SETUP_IOPOLL,
}

// untried cannot be tried alone: they need memory or another ring.
const untried = uring.IORING_SETUP_NO_MMAP | uring.IORING_SETUP_REGISTERED_FD_ONLY |
	uring.IORING_SETUP_ATTACH_WQ | uring.IORING_SETUP_SQ_REWIND

// trySetup makes a ring with a setup flag, on a kernel that cannot be asked.
func trySetup(bit int) *bool {
	f := uring.SetupFlags(1) << bit
	if f&untried != 0 {
		return nil
	}
	ring, err := newRing(uring.Params{Flags: f | prerequisites[f], CqEntries: 4})
	if err == nil {
		_ = ring.Close()
		return verdict(true, true)
	}
	if setup, ok := errors.AsType[*uring.SetupError](err); ok && !setup.Final() {
		return verdict(true, false)
	}
	return nil // forbidden to this process, or no memory: nothing is known
}
