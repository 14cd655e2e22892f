//go:build !linux

package sys

import (
	"errors"
	"net/netip"
	"syscall"

	"github.com/yamanote-go/yamanote/uring"
)

// Like the rest, these are never called elsewhere than on Linux.

// Packet is a message on its way from or to a socket.
type Packet struct{ name Sockaddr }

func (p *Packet) Name() *Sockaddr                              { return &p.name }
func (p *Packet) RecvFromNow(int, []byte) (int, syscall.Errno) { return -1, syscall.EAGAIN }
func (p *Packet) SetBuffers(_, _ []byte, _ bool)               {}
func (p *Packet) Forget()                                      {}
func (p *Packet) RecvMsgNow(int, int) (int, syscall.Errno)     { return -1, syscall.EAGAIN }
func (p *Packet) PrepRecvMsg(*uring.SQE, int, int)             {}
func (p *Packet) Received() (control, flags int)               { return 0, 0 }
func (p *Packet) SetTo(*Sockaddr)                              {}
func (p *Packet) SendMsgNow(int) (int, syscall.Errno)          { return -1, syscall.EAGAIN }
func SendToNow(int, []byte, *Sockaddr) (int, syscall.Errno)    { return -1, syscall.EAGAIN }
func (s *Sockaddr) SetInet(int, netip.AddrPort) bool           { return false }
func (s *Sockaddr) Inet() netip.AddrPort                       { return netip.AddrPort{} }
func Family(int) (int, error)                                  { return 0, errors.ErrUnsupported }
func SetUDPGRO(int, bool) error                                { return errors.ErrUnsupported }
func UDPSegments(int) error                                    { return errors.ErrUnsupported }
func NewBatch() *Batch                                         { return new(Batch) }
func (b *Batch) Free()                                         {}
func (b *Batch) Grow(int)                                      {}
func (b *Batch) AddRecv([][]byte, []byte)                      {}
func (b *Batch) RecvNow(int, int) (int, syscall.Errno)         { return -1, syscall.EAGAIN }
func (b *Batch) SendNow(int, int, int) (int, syscall.Errno)    { return -1, syscall.EAGAIN }
func (b *Batch) Len() int                                      { return 0 }
func (b *Batch) Sent(int) int                                  { return 0 }

func (b *Batch) AddSend(int, [][]byte, []byte, netip.AddrPort, int) bool { return false }

func (b *Batch) Received(int) (n, control, flags, segment int, from netip.AddrPort) {
	return 0, 0, 0, 0, netip.AddrPort{}
}

func NewAhead() *Ahead                                    { return new(Ahead) }
func (a *Ahead) Free()                                    {}
func (a *Ahead) Len() int                                 { return 0 }
func (a *Ahead) RecvNow(int, []byte) (int, syscall.Errno) { return -1, syscall.EAGAIN }
func (a *Ahead) From() *Sockaddr                          { return nil }
func (b *Batch) TakeAhead(*Ahead) int                     { return 0 }

func (a *Ahead) Take(_, _ []byte) (n, controln, flags int) { return 0, 0, 0 }

// Ahead receives several datagrams by one system call.
type Ahead struct{}

// Batch is a number of messages.
type Batch struct{}

// HasBatches says that there are system calls for Batches.
const HasBatches = false

// MaxBatch is the most messages that a Batch holds.
const MaxBatch = 64

// MsgCmsgCloexec makes received descriptors close-on-exec.
const MsgCmsgCloexec = 0
