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
func PrepStatx(*uring.SQE, int, []byte, bool, uint32, *uring.StatxResult) {}
func PrepEpollCtl(*uring.SQE, int, int, int, EpollEvents)                 {}
func PrepEpollWait(*uring.SQE, int, EpollEvents)                          {}
func (m *Message) SetBuffers([][]byte, []byte)                            {}
func (m *Message) Name() *Sockaddr                                        { return &m.name }
func (m *Message) UseName()                                               {}
func (m *Message) Received() (control, flags int)                         { return 0, 0 }
func (m *Message) PrepRecvmsg(*uring.SQE, int, uint32)                    {}
func (m *Message) PrepSendmsg(*uring.SQE, int, uint32, bool)              {}
func (e EpollEvents) Set(int, uint32, uint64)                             {}
func (e EpollEvents) Get(int) (events uint32, data uint64)                { return 0, 0 }

// Message is a msghdr and all that it points to.
type Message struct{ name Sockaddr }

// EpollEvents is an array of epoll_event.
type EpollEvents []struct{}
