package uring

import "unsafe"

// RecvBuffer is what can be received into: plain memory, or whichever provided
// buffer the kernel picks. (Read with CurrentPosition receives from a socket
// into registered buffers.)
type RecvBuffer interface {
	[]byte | Selection
}

// SendBuffer is what can be sent: plain memory, several pieces (6.17), or
// buffers that were provided with what is to be sent (6.10).
type SendBuffer interface {
	[]byte | []Iovec | Selection
}

// SendZCBuffer is what can be sent without a copy: plain memory, a registered
// buffer or a part of it, or several pieces of plain memory (6.17). Several
// pieces of a registered buffer take a msghdr and SendMsgZCFixed.
type SendZCBuffer interface {
	[]byte | FixedBuf | []Iovec
}

// Recv is PrepRecv into memory or, as IOSQE_BUFFER_SELECT, into a provided
// buffer. With IORING_RECV_MULTISHOT and a Selection it is PrepRecvMultishot.
func Recv[B RecvBuffer](s *SQE, f File, buf B, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{Opcode: IORING_OP_RECV, Ioprio: uint16(rs), OpFlags: msgFlags}
	switch b := any(buf).(type) {
	case []byte:
		s.setBytes(b)
	case Selection:
		s.setSelection(b)
	}
	s.setFile(f)
}

// Send is PrepSend from memory, from several pieces, as IORING_SEND_VECTORIZED,
// or from provided buffers, as IOSQE_BUFFER_SELECT.
func Send[B SendBuffer](s *SQE, f File, buf B, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{Opcode: IORING_OP_SEND, Ioprio: uint16(rs), OpFlags: msgFlags}
	switch b := any(buf).(type) {
	case []byte:
		s.setBytes(b)
	case []Iovec:
		s.Ioprio |= uint16(IORING_SEND_VECTORIZED)
		s.setIovec(b)
	case Selection:
		s.setSelection(b)
	}
	s.setFile(f)
}

// SendZC is PrepSendZC from memory, with several pieces of it as
// IORING_SEND_VECTORIZED, or PrepSendZCFixed from a registered buffer.
func SendZC[B SendZCBuffer](s *SQE, f File, buf B, msgFlags uint32, rs RecvSendFlags) {
	*s = SQE{Opcode: IORING_OP_SEND_ZC, Ioprio: uint16(rs), OpFlags: msgFlags}
	switch b := any(buf).(type) {
	case []byte:
		s.setBytes(b)
	case FixedBuf:
		s.Ioprio |= uint16(IORING_RECVSEND_FIXED_BUF)
		s.BufIndex = b.index
		s.setBytes(b.b)
	case []Iovec:
		s.Ioprio |= uint16(IORING_SEND_VECTORIZED)
		s.setIovec(b)
	}
	s.setFile(f)
}

// SendMsg is PrepSendmsg.
func SendMsg(s *SQE, f File, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	s.PrepSendmsg(0, msg, msgFlags, rs)
	s.setFile(f)
}

// SendMsgZC is PrepSendmsgZC.
func SendMsgZC(s *SQE, f File, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	s.PrepSendmsgZC(0, msg, msgFlags, rs)
	s.setFile(f)
}

// SendMsgZCFixed is PrepSendmsgZC with a msghdr whose pieces all lie in the
// registered buffer with the given index, as those of a FixedVector do. Since
// 6.15.
func SendMsgZCFixed(s *SQE, f File, msg unsafe.Pointer, index uint16, msgFlags uint32, rs RecvSendFlags) {
	s.PrepSendmsgZC(0, msg, msgFlags, rs|IORING_RECVSEND_FIXED_BUF)
	s.BufIndex = index
	s.setFile(f)
}

// RecvMsg is PrepRecvmsg.
func RecvMsg(s *SQE, f File, msg unsafe.Pointer, msgFlags uint32, rs RecvSendFlags) {
	s.PrepRecvmsg(0, msg, msgFlags, rs)
	s.setFile(f)
}

// RecvMsgMultishot is PrepRecvmsgMultishot. It fills buffers whatever the
// Selection's Max.
func RecvMsgMultishot(s *SQE, f File, msg unsafe.Pointer, sel Selection, msgFlags uint32, rs RecvSendFlags) {
	s.PrepRecvmsgMultishot(0, msg, sel.Group, msgFlags, rs)
	s.setFile(f)
}

// RecvZC is PrepRecvZC.
func RecvZC(s *SQE, f File, queue uint32, limit uint32, rs RecvSendFlags) {
	s.PrepRecvZC(0, queue, limit, rs)
	s.setFile(f)
}

// Accept is PrepAccept for a connection that becomes what the target says. With
// IORING_ACCEPT_MULTISHOT the target must be ToFD or ToAnySlot.
func Accept(s *SQE, f File, addr unsafe.Pointer, addrlen *uint32, sockFlags uint32, af AcceptFlags, to Target) {
	s.PrepAccept(0, addr, addrlen, sockFlags, af)
	s.SetFileIndex(uint32(to))
	s.setFile(f)
}

// Socket is PrepSocket for a socket that becomes what the target says.
func Socket(s *SQE, domain, typ, proto int, to Target) {
	s.PrepSocket(domain, typ, proto)
	s.SetFileIndex(uint32(to))
}

// Connect is PrepConnect.
func Connect(s *SQE, f File, addr unsafe.Pointer, addrlen uint32) {
	s.PrepConnect(0, addr, addrlen)
	s.setFile(f)
}

// Bind is PrepBind.
func Bind(s *SQE, f File, addr unsafe.Pointer, addrlen uint32) {
	s.PrepBind(0, addr, addrlen)
	s.setFile(f)
}

// Listen is PrepListen.
func Listen(s *SQE, f File, backlog int) {
	s.PrepListen(0, backlog)
	s.setFile(f)
}

// Shutdown is PrepShutdown.
func Shutdown(s *SQE, f File, how int) {
	s.PrepShutdown(0, how)
	s.setFile(f)
}

// SocketCmd is PrepSocketCmd.
func SocketCmd(s *SQE, f File, cmd SocketOp, level, name uint32, value unsafe.Pointer, size uint32) {
	s.PrepSocketCmd(0, cmd, level, name, value, size)
	s.setFile(f)
}
