package uring

import "unsafe"

// PrepSocket makes a socket, as socket(2) does. Since 5.19. The result is the
// new descriptor; after SetFileSlot it is 0, or the slot that the kernel chose.
func (s *SQE) PrepSocket(domain, typ, proto int) {
	*s = SQE{Opcode: IORING_OP_SOCKET, Fd: int32(domain), Off: uint64(typ), Len: uint32(proto)}
}

// PrepBind gives a socket its address, as bind(2) does. Since 6.11. The address
// must stay valid. The result is 0.
func (s *SQE) PrepBind(fd int, addr unsafe.Pointer, addrlen uint32) {
	*s = SQE{Opcode: IORING_OP_BIND, Fd: int32(fd), Off: uint64(addrlen), Addr: rawAddress(addr)}
}

// PrepListen lets a socket accept connections, as listen(2) does. Since 6.11.
// The result is 0.
func (s *SQE) PrepListen(fd, backlog int) {
	*s = SQE{Opcode: IORING_OP_LISTEN, Fd: int32(fd), Len: uint32(backlog)}
}

// PrepAccept accepts a connection, as accept4(2) does; sockFlags are its SOCK_
// flags. Since 5.5. The address and its length, unless they are nil, must stay
// valid. The result is the new descriptor; after SetFileSlot it is 0, or the
// slot that the kernel chose. With IORING_ACCEPT_MULTISHOT every connection
// completes, and all of them use the same address.
func (s *SQE) PrepAccept(fd int, addr unsafe.Pointer, addrlen *uint32, sockFlags uint32, af AcceptFlags) {
	*s = SQE{
		Opcode: IORING_OP_ACCEPT, Ioprio: uint16(af), Fd: int32(fd), Off: address(addrlen),
		Addr: rawAddress(addr), OpFlags: sockFlags,
	}
}

// PrepConnect connects a socket, as connect(2) does, but waits for the outcome
// on a non-blocking socket as well. Since 5.5. The address must stay valid. The
// result is 0.
func (s *SQE) PrepConnect(fd int, addr unsafe.Pointer, addrlen uint32) {
	*s = SQE{Opcode: IORING_OP_CONNECT, Fd: int32(fd), Off: uint64(addrlen), Addr: rawAddress(addr)}
}

// PrepShutdown ends one or both directions of a connection. Since 5.11. The
// result is 0.
func (s *SQE) PrepShutdown(fd, how int) {
	*s = SQE{Opcode: IORING_OP_SHUTDOWN, Fd: int32(fd), Len: uint32(how)}
}

// PrepRecv receives, as recv(2) does; msgFlags are its MSG_ flags. Since 5.6.
// buf must stay valid. The result is the number of bytes, 0 when the peer has
// ended its side.
func (s *SQE) PrepRecv(fd int, buf []byte, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{Opcode: IORING_OP_RECV, Ioprio: uint16(rs), Fd: int32(fd), OpFlags: msgFlags}
	s.setBytes(buf)
}

// PrepRecvMultishot receives again and again into buffers of a group. Since
// 6.0. The group must stay registered. Each result is the number of bytes in
// the buffer that CQE.BufferID names, or with IORING_RECVSEND_BUNDLE in that
// and the ones behind it. The end of the stream, an error and a lack of
// buffers (ENOBUFS) end it.
func (s *SQE) PrepRecvMultishot(fd int, group uint16, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{
		Opcode: IORING_OP_RECV, Flags: IOSQE_BUFFER_SELECT, Ioprio: uint16(rs | IORING_RECV_MULTISHOT),
		Fd: int32(fd), OpFlags: msgFlags, BufIndex: group,
	}
}

// PrepRecvZC receives again and again into the area of a zero-copy queue. Since
// 6.15, in a ring with 32-byte completions. The queue must stay registered;
// limit is a number of bytes to stop at, 0 for none. Each result is the number
// of bytes, and the second half of the completion, a ZCRXCqe, says where.
func (s *SQE) PrepRecvZC(fd int, queue uint32, limit uint32, rs RecvSendFlags) {
	*s = SQE{
		Opcode: IORING_OP_RECV_ZC, Ioprio: uint16(rs | IORING_RECV_MULTISHOT), Fd: int32(fd), Len: limit,
	}
	s.SetZcrxIfqIdx(queue)
}

// PrepSend sends, as send(2) does; msgFlags are its MSG_ flags. Since 5.6. buf
// must stay valid and unchanged. The result is the number of bytes.
func (s *SQE) PrepSend(fd int, buf []byte, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{Opcode: IORING_OP_SEND, Ioprio: uint16(rs), Fd: int32(fd), OpFlags: msgFlags}
	s.setBytes(buf)
}

// SetSendAddr gives a prepared send a destination, as sendto(2) does. Since 6.1
// for PrepSend, 6.0 for PrepSendZC. The address must stay valid.
func (s *SQE) SetSendAddr(addr unsafe.Pointer, addrlen uint16) {
	s.SetAddr2(rawAddress(addr))
	s.SetAddrLen(addrlen)
}

// PrepSendZC is PrepSend without a copy. Since 6.0. It completes twice: the
// first result is the number of bytes, with IORING_CQE_F_MORE, and buf must
// stay valid and unchanged until the second, with IORING_CQE_F_NOTIF. A failure
// may come without the second; IORING_CQE_F_MORE tells.
func (s *SQE) PrepSendZC(fd int, buf []byte, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{Opcode: IORING_OP_SEND_ZC, Ioprio: uint16(rs), Fd: int32(fd), OpFlags: msgFlags}
	s.setBytes(buf)
}

// PrepSendZCFixed is PrepSendZC from a part of the registered buffer with the
// given index. Since 6.0. The buffer must stay registered and the part unchanged
// until the notification.
func (s *SQE) PrepSendZCFixed(fd int, buf []byte, msgFlags uint32, rs RecvSendFlags, index uint16) {
	s.PrepSendZC(fd, buf, msgFlags, rs|IORING_RECVSEND_FIXED_BUF)
	s.BufIndex = index
}

// PrepSendmsg sends a message, as sendmsg(2) does. Since 5.3. The msghdr and all
// that it points to must stay valid and unchanged. The result is the number of
// bytes.
func (s *SQE) PrepSendmsg(fd int, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	s.prepMsg(IORING_OP_SENDMSG, fd, msg, msgFlags, rs)
}

// PrepSendmsgZC is PrepSendmsg without a copy. Since 6.1. It completes twice, as
// PrepSendZC does, and everything must stay valid until the second.
func (s *SQE) PrepSendmsgZC(fd int, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	s.prepMsg(IORING_OP_SENDMSG_ZC, fd, msg, msgFlags, rs)
}

// PrepRecvmsg receives a message, as recvmsg(2) does. Since 5.3. The msghdr,
// which the kernel changes, and all that it points to must stay valid. The
// result is the number of bytes.
func (s *SQE) PrepRecvmsg(fd int, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	s.prepMsg(IORING_OP_RECVMSG, fd, msg, msgFlags, rs)
}

// PrepRecvmsgMultishot receives messages again and again into buffers of a
// group. Of the msghdr only the sizes of name and control data count; it must
// stay valid. Since 6.0. Each result is the number of bytes in the buffer that
// CQE.BufferID names, which ParseRecvmsg takes apart.
func (s *SQE) PrepRecvmsgMultishot(fd int, msg unsafe.Pointer, group uint16, msgFlags uint32, rs RecvSendFlags) {
	s.prepMsg(IORING_OP_RECVMSG, fd, msg, msgFlags, rs|IORING_RECV_MULTISHOT)
	s.Flags, s.BufIndex = IOSQE_BUFFER_SELECT, group
}

func (s *SQE) prepMsg(op Op, fd int, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{
		Opcode: op, Ioprio: uint16(rs), Fd: int32(fd), Addr: rawAddress(msg), Len: 1, OpFlags: msgFlags,
	}
}
