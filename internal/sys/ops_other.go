//go:build !linux

package sys

import (
	"errors"
	"net/netip"

	"github.com/yamanote-go/yamanote/uring"
)

// Like the rest, these are never called elsewhere than on Linux.

// Cloexec makes a new descriptor close-on-exec.
const Cloexec = 0

// SockCloexec makes a new socket close-on-exec.
const SockCloexec = 0

func OpenFlags(flags int) int                                             { return flags }
func (s *Sockaddr) SetAddrPort(netip.AddrPort) error                      { return errors.ErrUnsupported }
func (s *Sockaddr) AddrPort() (netip.AddrPort, bool)                      { return netip.AddrPort{}, false }
func (s *Sockaddr) UnixName() string                                      { return "" }
func PrepBind(*uring.SQE, int, *Sockaddr)                                 {}
func PrepSocketCmd(*uring.SQE, int, uring.SocketOp, int, int, []byte)     {}
func PrepMadvise(*uring.SQE, []byte, int)                                 {}
func PageOffset([]byte) int                                               { return 0 }
func PrepProvideBuffers(*uring.SQE, []byte, int, uint16, uint16)          {}
func CloseRights([]byte)                                                  {}
func PrepStatx(*uring.SQE, int, []byte, bool, uint32, *Statx)             {}
func PrepEpollCtl(*uring.SQE, int, int, int, EpollEvents)                 {}
func PrepEpollWait(*uring.SQE, int, EpollEvents)                          {}
func PrepWaitid(*uring.SQE, int, int, *Siginfo, uint32)                   {}
func PrepFutexWaitv(*uring.SQE, *FutexWords)                              {}
func (m *Message) SetBuffers([][]byte, []byte)                            {}
func (m *Message) Name() *Sockaddr                                        { return &m.name }
func (m *Message) UseName()                                               {}
func (m *Message) Received() (control, flags int)                         { return 0, 0 }
func (m *Message) PrepRecvmsg(*uring.SQE, int, uint32)                    {}
func (m *Message) PrepSendmsg(*uring.SQE, int, uint32, bool)              {}
func (s *Statx) Fields() StatxFields                                      { return StatxFields{} }
func (e EpollEvents) Set(int, uint32, uint64)                             {}
func (e EpollEvents) Get(int) (events uint32, data uint64)                { return 0, 0 }
func (s *Siginfo) Child() (pid int, uid uint32, code, status int)         { return 0, 0, 0, 0 }
func (f *FutexWords) Add(word *uint32, value uint32, _ uring.Futex2Flags) {}

// Message is a msghdr and all that it points to.
type Message struct{ name Sockaddr }

// Statx is a statx.
type Statx struct{}

// EpollEvents is an array of epoll_event.
type EpollEvents []struct{}

// Siginfo is a siginfo of a child process.
type Siginfo struct{}

// FutexWords is an array of futex_waitv.
type FutexWords struct{}
