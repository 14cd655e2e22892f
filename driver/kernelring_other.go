//go:build !linux

package driver

import (
	"errors"
	"fmt"
	"runtime"
)

func openKernelRing(Config) (Ring, error) {
	return nil, fmt.Errorf("driver: %s has no io_uring: %w", runtime.GOOS, errors.ErrUnsupported)
}
