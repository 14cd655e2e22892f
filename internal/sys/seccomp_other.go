//go:build !linux

package sys

import (
	"errors"
	"fmt"
)

var errNotLinux = fmt.Errorf("io_uring is Linux's: %w", errors.ErrUnsupported)

// DenyRing fails where there is no io_uring to deny.
func DenyRing() error { return errNotLinux }

// TryRing fails where there is no io_uring.
func TryRing() error { return errNotLinux }
