package uring

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EnterWait submits up to toSubmit entries, waits until minComplete completions
// are there or the wait ends otherwise, and returns the number of entries
// consumed. It adds IORING_ENTER_GETEVENTS and what w demands to the flags. A
// nil w has no bound.
//
// As with the other Enter methods the error is a bare number, among them ETIME
// when the time is up and nothing has completed, and EINTR when a signal came.
// Every thread that the ring's setup flags allow may wait, several at the same
// time; a completion ends the wait of each whose minComplete is reached, though
// only one of them will reap it.
func (r *Ring) EnterWait(toSubmit, minComplete uint32, flags EnterFlags, w *Wait) (int, syscall.Errno) {
	flags |= IORING_ENTER_GETEVENTS
	if w == nil {
		return r.Enter(toSubmit, minComplete, flags)
	}
	w.arg.Ts, w.arg.Sigmask, w.arg.SigmaskSz = 0, 0, 0
	if w.timed {
		w.arg.Ts = address(&w.ts)
	}
	if w.masked {
		w.arg.Sigmask, w.arg.SigmaskSz = address(&w.mask), uint32(unsafe.Sizeof(w.mask))
	}
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		uintptr(minComplete), uintptr(flags|w.flags|r.enterBase|IORING_ENTER_EXT_ARG),
		uintptr(unsafe.Pointer(&w.arg)), unsafe.Sizeof(w.arg))
	runtime.KeepAlive(w)
	return consumed(n, errno), errno
}
