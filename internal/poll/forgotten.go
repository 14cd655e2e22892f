package poll

import (
	"runtime"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// handle is the part of an FD that tells when the FD is garbage: only that
// refers to it. Whoever is in one of the FD's methods has the FD on the stack,
// and what is under way in the ring refers to it by its sink, so that nothing
// can be under way when the finalizer runs. The finalizer is that of a part
// because an FD and its requests refer to each other: an object with a finalizer
// that can be reached from itself is never collected. A cleanup of the FD would
// do as well; it is made of two allocations more, for each connection.
type handle struct {
	// drained is made by Close; see FD.refs.
	drained atomic.Pointer[chan struct{}]

	sysfd     int    // -1 if the descriptor is another's to close
	forgotten func() // called when it has been closed because it was garbage, or nil
}

// owned is for an FD whose descriptor is closed when that is garbage.
func owned(sysfd int, forgotten func()) *handle {
	h := &handle{sysfd: sysfd, forgotten: forgotten}
	runtime.SetFinalizer(h, (*handle).finalize)
	return h
}

// borrowed is for an FD whose descriptor somebody else closes.
func borrowed() *handle { return &handle{sysfd: -1} }

// disown says that the descriptor is not to be closed any more when the FD is
// garbage. The caller goes on to use the FD.
func (h *handle) disown() {
	if h.sysfd >= 0 {
		runtime.SetFinalizer(h, nil)
	}
}

// finalize closes a descriptor that has been forgotten. What was written behind
// has been sent, since a send that is to be done refers to the FD.
func (h *handle) finalize() {
	if sys.Linger(h.sysfd) > 0 {
		// It may take that long, and other finalizers wait for this one.
		go h.close()
		return
	}
	h.close()
}

func (h *handle) close() {
	_ = sys.Close(h.sysfd)
	if h.forgotten != nil {
		h.forgotten()
	}
}
