package file

import (
	"os"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
)

// SyscallConn returns access to the file's descriptor. Control calls its argument
// while operations may be under way. Read and Write call theirs while no other
// Read or Write of the file is, until it returns true, and wait before each
// further call until a stream has something to read, or room; deadlines and Close
// end that wait. What is not a stream cannot be waited for: a function that
// returns false then ends with an error.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	std, err := f.std.SyscallConn()
	if err != nil || f.ring == nil && f.stream == nil {
		return std, err
	}
	return &rawConn{f, std}, nil
}

// rawConn implements syscall.RawConn for what is on a ring.
type rawConn struct {
	file *File
	std  syscall.RawConn
}

// Control implements syscall.RawConn.
func (c *rawConn) Control(f func(fd uintptr)) error { return c.std.Control(f) }

// Read implements syscall.RawConn.
func (c *rawConn) Read(f func(fd uintptr) bool) error {
	return c.do(f, (*poll.Stream).RawRead, syscall.RawConn.Read)
}

// Write implements syscall.RawConn.
func (c *rawConn) Write(f func(fd uintptr) bool) error {
	return c.do(f, (*poll.Stream).RawWrite, syscall.RawConn.Write)
}

func (c *rawConn) do(f func(fd uintptr) bool, stream func(*poll.Stream, func(int) bool) error,
	std func(syscall.RawConn, func(uintptr) bool) error) error {
	if c.file.stream != nil {
		return closing(stream(c.file.stream, func(sysfd int) bool { return f(uintptr(sysfd)) }))
	}
	// What f does may move the file's position.
	var failed error
	err := c.file.ring.Alone(func() error {
		failed = std(c.std, f)
		return nil
	})
	if err != nil {
		return closing(err)
	}
	return failed
}
