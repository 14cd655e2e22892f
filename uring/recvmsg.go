package uring

import "unsafe"

// Recvmsg is one message of a multishot receive, in the buffer it came in. The
// slices are parts of that buffer.
type Recvmsg struct {
	Flags   uint32 // MSG_ flags; MSG_TRUNC and MSG_CTRUNC tell what did not fit
	Name    []byte // address of the sender
	Control []byte // control messages
	Payload []byte
}

// ParseRecvmsg takes a buffer of PrepRecvmsgMultishot apart. buf is as long as
// the completion's result; namelen and controllen are the sizes in the msghdr
// of the request. It reports false for a buffer that cannot be one.
func ParseRecvmsg(buf []byte, namelen, controllen int) (Recvmsg, bool) {
	const headerSize = int(unsafe.Sizeof(RecvmsgOut{}))
	if namelen < 0 || controllen < 0 || len(buf) < headerSize ||
		namelen > len(buf)-headerSize || controllen > len(buf)-headerSize-namelen {
		return Recvmsg{}, false
	}
	var h RecvmsgOut
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&h)), headerSize), buf)
	// The header has the sizes there were, which may exceed the room there was.
	name := buf[headerSize : headerSize+namelen]
	control := buf[headerSize+namelen : headerSize+namelen+controllen]
	payload := buf[headerSize+namelen+controllen:]
	return Recvmsg{
		Flags:   h.Flags,
		Name:    name[:min(uint64(h.Namelen), uint64(len(name)))],
		Control: control[:min(uint64(h.Controllen), uint64(len(control)))],
		Payload: payload[:min(uint64(h.Payloadlen), uint64(len(payload)))],
	}, true
}
