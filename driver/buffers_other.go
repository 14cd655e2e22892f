//go:build !linux

package driver

import (
	"errors"
	"fmt"
	"runtime"
)

// NewBufferRing fails: this operating system has no io_uring.
func (d *Driver) NewBufferRing(uint16, int, int, int) (BufferRing, error) {
	return nil, fmt.Errorf("driver: %s has no io_uring: %w", runtime.GOOS, errors.ErrUnsupported)
}
