package uring

import (
	"encoding/binary"
	"iter"
	"math"
	"unsafe"
)

// A ControlMessage is one control message of a received message, see cmsg(3).
type ControlMessage struct {
	Level int32  // as in SOL_SOCKET
	Type  int32  // as in SCM_TIMESTAMPNS
	Data  []byte // a part of the buffer it was found in
}

// The header of a control message is a size_t, which counts header and data,
// and two int. Messages begin at multiples of a size_t.
const (
	controlWord   = int(unsafe.Sizeof(uintptr(0)))
	controlHeader = controlWord + 8
)

// ControlMessages yields the control messages in a buffer, as recvmsg(2) and
// Recvmsg.Control deliver it. It ends at the first that is not whole: the rest
// of what the kernel had no room for, told by MSG_CTRUNC, or no control message.
func ControlMessages(control []byte) iter.Seq[ControlMessage] {
	return func(yield func(ControlMessage) bool) {
		for rest := control; len(rest) >= controlHeader; {
			size := controlLen(rest)
			if size < uint64(controlHeader) || size > uint64(len(rest)) {
				return
			}
			n := int(size)
			m := ControlMessage{
				Level: int32(binary.NativeEndian.Uint32(rest[controlWord:])),
				Type:  int32(binary.NativeEndian.Uint32(rest[controlWord+4:])),
				Data:  rest[controlHeader:n:n],
			}
			if !yield(m) {
				return
			}
			rest = rest[min(controlAlign(n), len(rest)):]
		}
	}
}

// AppendControl appends a control message to a buffer that holds nothing but
// such, for sendmsg(2), and returns the longer buffer. The kernel may read the
// buffer until the request has completed.
func AppendControl(control []byte, level, typ int32, data []byte) []byte {
	n := controlHeader + len(data)
	if controlWord == 8 {
		control = binary.NativeEndian.AppendUint64(control, uint64(n))
	} else {
		control = binary.NativeEndian.AppendUint32(control, uint32(n))
	}
	control = binary.NativeEndian.AppendUint32(control, uint32(level))
	control = binary.NativeEndian.AppendUint32(control, uint32(typ))
	control = append(control, data...)
	return append(control, make([]byte, controlAlign(n)-n)...)
}

// ControlSpace returns the room that a control message with n bytes of data
// takes, as CMSG_SPACE does.
func ControlSpace(n int) int { return controlAlign(controlHeader + n) }

// controlLen returns the size that a control message claims to have.
func controlLen(b []byte) uint64 {
	if controlWord == 8 {
		return binary.NativeEndian.Uint64(b)
	}
	return uint64(binary.NativeEndian.Uint32(b))
}

// controlAlign returns where the message behind one of n bytes begins.
func controlAlign(n int) int {
	if n > math.MaxInt-controlWord {
		return n
	}
	return (n + controlWord - 1) &^ (controlWord - 1)
}
