//go:build !linux

package uring

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Programs that use rings compile for every operating system, and find out when
// they run: New fails, and so does all that a ring is asked for. What can be done
// without a kernel, such as preparing entries and decoding completions, works.

// errNoRing is returned by everything that needs a kernel with io_uring.
var errNoRing = fmt.Errorf("uring: %s has no io_uring: %w", runtime.GOOS, errors.ErrUnsupported)

// kernelRelease names the running system.
func kernelRelease() string { return runtime.GOOS }

// noCompletions yields the error only.
func noCompletions(yield func(CQE, error) bool) { yield(CQE{}, errNoRing) }

// Ring is an io_uring instance. There are none on this operating system.
type Ring struct{}

// NewBufRing fails: this operating system has no io_uring.
func NewBufRing(r *Ring, group uint16, entries, size int) (*BufRing, error) { return nil, errNoRing }

// NewInMemory fails: this operating system has no io_uring.
func NewInMemory(entries uint32, p *Params, mem []byte) (*Ring, error) { return nil, errNoRing }

// Query fails: this operating system has no io_uring.
func Query() (QueryOpcode, error) { return QueryOpcode{}, errNoRing }

// QueryZcrxInfo fails: this operating system has no io_uring.
func QueryZcrxInfo() (QueryZcrx, error) { return QueryZcrx{}, errNoRing }

// QueryScqInfo fails: this operating system has no io_uring.
func QueryScqInfo() (QueryScq, error) { return QueryScq{}, errNoRing }

// SendMsgRing fails: this operating system has no io_uring.
func SendMsgRing(target int, userData uint64, res uint32) error { return errNoRing }

// RestrictTask fails: this operating system has no io_uring.
func RestrictTask(list []Restriction) error { return errNoRing }

// New fails: this operating system has no io_uring.
func New(entries uint32, p *Params) (*Ring, error) { return nil, errNoRing }

// NewBufRing fails: this operating system has no io_uring.
func (r *Ring) NewBufRing(c BufRingConfig) (*BufRing, error) { return nil, errNoRing }

// Completions yields one error: this operating system has no io_uring.
func (r *Ring) Completions() iter.Seq2[CQE, error] { return noCompletions }

// WaitCompletions yields one error: this operating system has no io_uring.
func (r *Ring) WaitCompletions(n uint32, timeout time.Duration) iter.Seq2[CQE, error] {
	return noCompletions
}

// Enter fails: this operating system has no io_uring.
func (r *Ring) Enter(toSubmit, minComplete uint32, flags EnterFlags) (int, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// EnterNow fails: this operating system has no io_uring.
func (r *Ring) EnterNow(toSubmit uint32, flags EnterFlags) (int, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// EnterTimeout fails: this operating system has no io_uring.
func (r *Ring) EnterTimeout(toSubmit, minComplete uint32, flags EnterFlags, timeout time.Duration) (int, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// Submit fails: this operating system has no io_uring.
func (r *Ring) Submit() (int, error) { return 0, errNoRing }

// SubmitAndWait fails: this operating system has no io_uring.
func (r *Ring) SubmitAndWait(n uint32, timeout time.Duration) (int, error) { return 0, errNoRing }

// RegisterPersonality fails: this operating system has no io_uring.
func (r *Ring) RegisterPersonality() (Personality, error) { return 0, errNoRing }

// UnregisterPersonality fails: this operating system has no io_uring.
func (r *Ring) UnregisterPersonality(p Personality) error { return errNoRing }

// Probe fails: this operating system has no io_uring.
func (r *Ring) Probe() (OpSet, error) { return OpSet{}, errNoRing }

// NewRegion fails: this operating system has no io_uring.
func (r *Ring) NewRegion(size int, flags MemRegionFlags) (*Region, error) { return nil, errNoRing }

// NewRegionIn fails: this operating system has no io_uring.
func (r *Ring) NewRegionIn(mem []byte, flags MemRegionFlags) (*Region, error) { return nil, errNoRing }

// EnterRegistered fails: this operating system has no io_uring.
func (r *Ring) EnterRegistered(toSubmit, minComplete uint32, flags EnterFlags, index int) (int, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// SyncCancel fails: this operating system has no io_uring.
func (r *Ring) SyncCancel(target CancelTarget, timeout time.Duration) (int, error) {
	return 0, errNoRing
}

// Register fails: this operating system has no io_uring.
func (r *Ring) Register(op RegisterOp, arg unsafe.Pointer, n uint32) (int, error) {
	return 0, errNoRing
}

// Enable fails: this operating system has no io_uring.
func (r *Ring) Enable() error { return errNoRing }

// RegisterEventfd fails: this operating system has no io_uring.
func (r *Ring) RegisterEventfd(fd int) error { return errNoRing }

// RegisterEventfdAsync fails: this operating system has no io_uring.
func (r *Ring) RegisterEventfdAsync(fd int) error { return errNoRing }

// UnregisterEventfd fails: this operating system has no io_uring.
func (r *Ring) UnregisterEventfd() error { return errNoRing }

// RegisterRestrictions fails: this operating system has no io_uring.
func (r *Ring) RegisterRestrictions(list []Restriction) error { return errNoRing }

// RegisterRingFd fails: this operating system has no io_uring.
func (r *Ring) RegisterRingFd() error { return errNoRing }

// UnregisterRingFd fails: this operating system has no io_uring.
func (r *Ring) UnregisterRingFd() error { return errNoRing }

// CloseFd fails: this operating system has no io_uring.
func (r *Ring) CloseFd() error { return errNoRing }

// SetMaxWorkers fails: this operating system has no io_uring.
func (r *Ring) SetMaxWorkers(bounded, unbounded uint32) ([2]uint32, error) {
	return [2]uint32{}, errNoRing
}

// RegisterNAPI fails: this operating system has no io_uring.
func (r *Ring) RegisterNAPI(busyPoll time.Duration, prefer bool, tracking uint32) (NAPI, error) {
	return NAPI{}, errNoRing
}

// AddNAPI fails: this operating system has no io_uring.
func (r *Ring) AddNAPI(id uint32) error { return errNoRing }

// RemoveNAPI fails: this operating system has no io_uring.
func (r *Ring) RemoveNAPI(id uint32) error { return errNoRing }

// UnregisterNAPI fails: this operating system has no io_uring.
func (r *Ring) UnregisterNAPI() (NAPI, error) { return NAPI{}, errNoRing }

// RegisterZcrxIfq fails: this operating system has no io_uring.
func (r *Ring) RegisterZcrxIfq(reg *ZCRXIfqReg) error { return errNoRing }

// ZcrxControl fails: this operating system has no io_uring.
func (r *Ring) ZcrxControl(ctrl *ZCRXCtrl) error { return errNoRing }

// RegisterBPFFilter fails: this operating system has no io_uring.
func (r *Ring) RegisterBPFFilter(filter *BPFFilter) error { return errNoRing }

// SetWorkerAffinity fails: this operating system has no io_uring.
func (r *Ring) SetWorkerAffinity(cpus ...int) error { return errNoRing }

// ClearWorkerAffinity fails: this operating system has no io_uring.
func (r *Ring) ClearWorkerAffinity() error { return errNoRing }

// SetClock fails: this operating system has no io_uring.
func (r *Ring) SetClock(clock uint32) error { return errNoRing }

// RegisterBuffers fails: this operating system has no io_uring.
func (r *Ring) RegisterBuffers(bufs [][]byte) (*Buffers, error) { return nil, errNoRing }

// RegisterBuffersTagged fails: this operating system has no io_uring.
func (r *Ring) RegisterBuffersTagged(bufs [][]byte, tags []uint64) (*Buffers, error) {
	return nil, errNoRing
}

// RegisterBuffersSparse fails: this operating system has no io_uring.
func (r *Ring) RegisterBuffersSparse(n int) (*Buffers, error) { return nil, errNoRing }

// CloneBuffers fails: this operating system has no io_uring.
func (r *Ring) CloneBuffers(src *Buffers) (*Buffers, error) { return nil, errNoRing }

// RegisterFiles fails: this operating system has no io_uring.
func (r *Ring) RegisterFiles(fds []int32) (*Files, error) { return nil, errNoRing }

// RegisterFilesTagged fails: this operating system has no io_uring.
func (r *Ring) RegisterFilesTagged(fds []int32, tags []uint64) (*Files, error) { return nil, errNoRing }

// RegisterFilesSparse fails: this operating system has no io_uring.
func (r *Ring) RegisterFilesSparse(n int) (*Files, error) { return nil, errNoRing }

// Reserve fails: this operating system has no io_uring.
func (r *Ring) Reserve(n int) (Reservation, error) { return Reservation{}, errNoRing }

// ReserveAudible fails: this operating system has no io_uring.
func (r *Ring) ReserveAudible(n int) (Reservation, error) { return Reservation{}, errNoRing }

// Resize fails: this operating system has no io_uring.
func (r *Ring) Resize(entries, cqEntries uint32) error { return errNoRing }

// ResizeInMemory fails: this operating system has no io_uring.
func (r *Ring) ResizeInMemory(entries, cqEntries uint32, mem []byte) error { return errNoRing }

// Close fails: this operating system has no io_uring.
func (r *Ring) Close() error { return errNoRing }

// SQ returns nil: there are no queues.
func (r *Ring) SQ() *SubmissionQueue { return nil }

// SQ128 fails: this operating system has no io_uring.
func (r *Ring) SQ128() (SubmissionQueue128, error) { return SubmissionQueue128{}, errNoRing }

// CQ returns nil: there are no queues.
func (r *Ring) CQ() *CompletionQueue { return nil }

// Fd returns -1: there is no descriptor.
func (r *Ring) Fd() int { return -1 }

// Params returns nothing that is set.
func (r *Ring) Params() Params { return Params{} }

// Features returns nothing that is set.
func (r *Ring) Features() Features { return 0 }

// Flags returns nothing that is set.
func (r *Ring) Flags() SetupFlags { return 0 }

// String says that there is no ring.
func (r *Ring) String() string { return "io_uring{none}" }

// EnterWait fails: this operating system has no io_uring.
func (r *Ring) EnterWait(toSubmit, minComplete uint32, flags EnterFlags, w *Wait) (int, syscall.Errno) {
	return 0, syscall.ENOSYS
}
