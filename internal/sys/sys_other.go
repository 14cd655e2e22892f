//go:build !linux

package sys

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// Elsewhere than on Linux there is no ring, so that nothing of this is called.
// It is here for its callers to compile.

// AtFdcwd stands for the current directory.
const AtFdcwd = -100

// Sockaddr is a socket address in the kernel's form.
type Sockaddr struct{}

func (s *Sockaddr) Reset()                                           {}
func (s *Sockaddr) SetIP(int, net.IP, int, string) error             { return errors.ErrUnsupported }
func (s *Sockaddr) SetUnix(string) error                             { return errors.ErrUnsupported }
func (s *Sockaddr) TCPAddr() *net.TCPAddr                            { return nil }
func (s *Sockaddr) UnixAddr(string) *net.UnixAddr                    { return nil }
func PrepAccept(*uring.SQE, int, *Sockaddr, uring.AcceptFlags)       {}
func AcceptNow(int, *Sockaddr) (int, syscall.Errno)                  { return -1, syscall.EAGAIN }
func Readable(int) bool                                              { return false }
func AcceptQueue(int) (length, limit int)                            { return -1, -1 }
func PrepAcceptMultishot(*uring.SQE, int)                            {}
func PrepConnect(*uring.SQE, int, *Sockaddr)                         {}
func PrepOpenat(*uring.SQE, int, []byte, int, uint32)                {}
func PathBytes(string) ([]byte, error)                               { return nil, errors.ErrUnsupported }
func Eventfd() (int, error)                                          { return -1, errors.ErrUnsupported }
func EventfdSignal(int) error                                        { return errors.ErrUnsupported }
func Close(int) error                                                { return errors.ErrUnsupported }
func Dup(int) (int, error)                                           { return -1, errors.ErrUnsupported }
func RecvNow(int, []byte) (int, syscall.Errno)                       { return -1, syscall.EAGAIN }
func SendNow(int, []byte) (int, syscall.Errno)                       { return -1, syscall.EAGAIN }
func PreadNow(int, []byte, int64) (int, syscall.Errno)               { return -1, syscall.EAGAIN }
func PwriteNow(int, []byte, int64) (int, syscall.Errno)              { return -1, syscall.EAGAIN }
func Pread(int, []byte, int64) (int, error)                          { return -1, errors.ErrUnsupported }
func Pwrite(int, []byte, int64) (int, error)                         { return -1, errors.ErrUnsupported }
func PwriteWith(int, []byte, int64, int) (int, error)                { return 0, errors.ErrUnsupported }
func Waits(int) (reads, writes bool)                                 { return false, false }
func StreamSocket(int) (int, error)                                  { return -1, errors.ErrUnsupported }
func MultipathSocket(int) (int, error)                               { return -1, errors.ErrUnsupported }
func Bind(int, *Sockaddr) error                                      { return errors.ErrUnsupported }
func Getsockname(int, *Sockaddr) error                               { return errors.ErrUnsupported }
func Getpeername(int, *Sockaddr) error                               { return errors.ErrUnsupported }
func SetNoDelay(int, bool) error                                     { return errors.ErrUnsupported }
func SetKeepAlive(int, bool) error                                   { return errors.ErrUnsupported }
func SetKeepAliveTimes(int, time.Duration, time.Duration, int) error { return errors.ErrUnsupported }
func UsesMultipathTCP(int) bool                                      { return false }
func SetReuseAddr(int) error                                         { return errors.ErrUnsupported }
func SetIPv6Only(int, bool) error                                    { return errors.ErrUnsupported }
func SetBuffer(int, bool, int) error                                 { return errors.ErrUnsupported }
func SetLinger(int, int) error                                       { return errors.ErrUnsupported }
func Linger(int) int                                                 { return -1 }
func ShutdownRead(int) error                                         { return errors.ErrUnsupported }
func ShutdownWrite(int) error                                        { return errors.ErrUnsupported }
func Disconnect(int) error                                           { return errors.ErrUnsupported }
func SetBlocking(int) error                                          { return errors.ErrUnsupported }
func SetNonblocking(int) error                                       { return errors.ErrUnsupported }
func TCPOptions(int) (func() error, error)                           { return nil, errors.ErrUnsupported }

func MapAnonymous(int) ([]byte, error) { return nil, errors.ErrUnsupported }
func Unmap([]byte) error               { return errors.ErrUnsupported }

func (s *Sockaddr) SetRaw([]byte)                                       {}
func NewRecvHeader(int) *RecvHeader                                     { return nil }
func PrepRecvmsgMultishot(*uring.SQE, int, *RecvHeader, uint16, uint32) {}

// RecvHeader says how much room a message has.
type RecvHeader struct{}

// Sizes and flags of messages.
const (
	IPNameLen = 28
	MsgTrunc  = 0x20
	MsgCtrunc = 0x8
)

// CurrentPosition as an offset means where the open file stands.
const CurrentPosition = -1

// The families of sockets.
const (
	INET  = 2
	INET6 = 10
	UNIX  = 1
)
