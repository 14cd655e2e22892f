package testkit

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// UnlockTerminal lets others open the terminal at the other end of an open
// /dev/ptmx and returns its name.
func UnlockTerminal(master uintptr) (string, error) {
	if err := unix.IoctlSetPointerInt(int(master), unix.TIOCSPTLCK, 0); err != nil {
		return "", fmt.Errorf("TIOCSPTLCK: %w", err)
	}
	n, err := unix.IoctlGetInt(int(master), unix.TIOCGPTN)
	if err != nil {
		return "", fmt.Errorf("TIOCGPTN: %w", err)
	}
	return fmt.Sprintf("/dev/pts/%d", n), nil
}

// MakeRaw makes a terminal pass on bytes as they are.
func MakeRaw(terminal uintptr) error {
	t, err := unix.IoctlGetTermios(int(terminal), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("TCGETS: %w", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(terminal), unix.TCSETS, t)
}

// Mkfifo makes a FIFO.
func Mkfifo(name string) error { return unix.Mkfifo(name, 0o600) }
