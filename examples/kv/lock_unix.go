//go:build linux || darwin

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockPatience is how long a process that was killed may need to be gone.
const lockPatience = 5 * time.Second

// lockDir makes sure that no other process has the store. The lock is on a file
// of its own, since the log is replaced, and ends with the process.
func lockDir(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case err != syscall.EWOULDBLOCK && err != syscall.EINTR, time.Since(start) > lockPatience:
			_ = f.Close()
			return nil, fmt.Errorf("%s is in use by another process: %w", dir, err)
		}
	}
}
