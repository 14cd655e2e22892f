//go:build !linux

package sys

import "errors"

// Seek fails: there is nothing to drive.
func Seek(int, int64, int) (int64, error) { return -1, errors.ErrUnsupported }

// Position fails likewise.
func Position(int) (int64, error) { return -1, errors.ErrUnsupported }
