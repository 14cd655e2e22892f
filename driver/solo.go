package driver

import "github.com/yamanote-go/yamanote/uring"

// Solo reports whether an operation that finishes by itself would have the ring
// to itself, so that its goroutine may as well do it by a system call: nothing
// could be batched with it or go on beside it. Operations that may wait for a
// peer (Op.Waits) do not count. What it says can change at any time. It reports
// false when the driver is closed, whose error the operation then gets, and on a
// ring that is not the kernel's, which may have plans of its own for it.
func (d *Driver) Solo() bool {
	// Only a hint, so it pairs with nothing.
	if d.finite.used.Load() != 0 {
		return false
	}
	select {
	case <-d.closed:
		return false
	default:
	}
	_, ok := d.ring.(interface{ kernel() *uring.Ring })
	return ok
}
