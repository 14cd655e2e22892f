package driver

import "sync"

// keep holds memory that the kernel may use when the operation that gave it is
// complete.
type keep struct {
	mu  sync.Mutex
	all []any
}

// Keep makes v stay reachable for as long as the driver runs: for memory that an
// operation gives to the kernel for good, such as provided buffers.
func (d *Driver) Keep(v any) {
	d.kept.mu.Lock()
	defer d.kept.mu.Unlock()
	d.kept.all = append(d.kept.all, v)
}
