//go:build !linux

package uring

func ringDenied() error {
	_, err := New(1, nil)
	return err
}
