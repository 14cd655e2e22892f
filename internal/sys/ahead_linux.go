package sys

import (
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ahead receives several datagrams by one system call, the first into the
// caller's memory and the others into its own, from where they are taken later.
type Ahead struct {
	hdrs     [aheadMost]mmsghdr
	iovs     [aheadMost]unix.Iovec
	names    [aheadMost]Sockaddr
	controls [aheadMost][aheadControl]byte
	mem      []byte

	at, n int // messages at to n are there to be taken
}

const (
	// aheadMost is how many datagrams one call receives.
	aheadMost = 16
	// aheadControl is room for the control data of a datagram: for all that
	// programs usually ask for.
	aheadControl = 128
	// aheadSize is more than the longest datagram, so that none is cut off for
	// a caller who has more room than the one before. The odd part keeps the
	// beginnings of datagrams from the same lines of the processor's cache.
	aheadSize = 64<<10 + 320
)

var aheads = sync.Pool{New: func() any { return new(Ahead) }}

// NewAhead returns an empty Ahead. Give it back with Free.
func NewAhead() *Ahead {
	a := aheads.Get().(*Ahead)
	if a.mem == nil {
		a.mem = make([]byte, (aheadMost-1)*aheadSize)
	}
	return a
}

// Free gives the Ahead back, and what is left in it is lost.
func (a *Ahead) Free() {
	a.at, a.n = 0, 0
	aheads.Put(a)
}

// Len returns the number of datagrams that can be taken.
func (a *Ahead) Len() int { return a.n - a.at }

// RecvNow receives as many datagrams as there are and there is room for, without
// waiting: EAGAIN says that there are none. The first goes to b, and Taken
// returns the rest of it; the others can be taken. Nothing may be left of those
// from before.
func (a *Ahead) RecvNow(fd int, b []byte) (int, syscall.Errno) {
	for i := range a.hdrs {
		h := &a.hdrs[i].hdr
		if i > 0 {
			a.iovs[i].Base = &a.mem[(i-1)*aheadSize]
			a.iovs[i].SetLen(64 << 10)
		}
		a.names[i].Reset()
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&a.names[i].raw)), a.names[i].len
		h.Iov = &a.iovs[i]
		h.SetIovlen(1)
		h.Control = &a.controls[i][0]
		h.SetControllen(aheadControl)
	}
	a.iovs[0].Base = unsafe.SliceData(b)
	a.iovs[0].SetLen(len(b))
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&a.hdrs)),
		aheadMost, unix.MSG_DONTWAIT, 0, 0)
	a.iovs[0].Base = nil
	if errno != 0 {
		return -1, errno
	}
	a.at, a.n = 1, int(n)
	return int(a.hdrs[0].n), 0
}

// TakeAhead takes as many datagrams as there are and b has room for, instead of
// RecvNow.
func (b *Batch) TakeAhead(a *Ahead) int {
	n := 0
	for ; n < b.n && a.Len() > 0; n++ {
		m := &b.hdrs[n]
		i := a.at
		m.n, m.hdr.Flags = 0, 0
		control := unsafe.Slice(m.hdr.Control, int(m.hdr.Controllen))
		_, controln, flags := a.Take(nil, control)
		rest := a.mem[(i-1)*aheadSize:][:a.hdrs[i].n]
		for _, v := range unsafe.Slice(m.hdr.Iov, int(m.hdr.Iovlen)) {
			k := copy(unsafe.Slice(v.Base, int(v.Len)), rest)
			rest = rest[k:]
			m.n += uint32(k)
		}
		if flags &^= unix.MSG_TRUNC; len(rest) > 0 {
			flags |= unix.MSG_TRUNC
		}
		m.hdr.Flags = int32(flags)
		m.hdr.SetControllen(controln)
		from := a.From()
		m.hdr.Namelen = from.len
		b.names[n] = *(*unix.RawSockaddrInet6)(unsafe.Pointer(&from.raw))
	}
	return n
}

// From returns the sender of the datagram that RecvNow or Take has returned last.
func (a *Ahead) From() *Sockaddr {
	s := &a.names[a.at-1]
	s.len = a.hdrs[a.at-1].hdr.Namelen
	s.settle()
	return s
}

// Take copies the next datagram into b and its control data into control, and
// returns how many bytes of each, and its flags.
func (a *Ahead) Take(b, control []byte) (n, controln, flags int) {
	i := a.at
	a.at++
	h := &a.hdrs[i].hdr
	data := a.mem[(i-1)*aheadSize:][:a.hdrs[i].n]
	n, flags = copy(b, data), int(h.Flags)
	if n < len(data) {
		flags |= unix.MSG_TRUNC
	}
	all := a.controls[i][:h.Controllen]
	if controln = copy(control, all); controln < len(all) {
		flags |= unix.MSG_CTRUNC
	}
	return n, controln, flags
}
