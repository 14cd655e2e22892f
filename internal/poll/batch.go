package poll

import (
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// RecvBatch receives at least one message into b, and all that there are and b
// has room for, with one system call once there is one. It returns how many.
func (fd *FD) RecvBatch(b *sys.Batch, flags int) (int, error) {
	s := &fd.rd
	if err := fd.begin(s); err != nil {
		return 0, err
	}
	defer fd.end(s)
	m := fd.message()
	if m.aheads != nil && m.aheads.Len() > 0 {
		return b.TakeAhead(m.aheads), nil
	}
	var wait patience
	for waited := false; ; waited = true {
		if !s.empty {
			n, errno := b.RecvNow(fd.sysfd, flags)
			if waited && errno == 0 {
				fd.driver.NoteInline(true)
				m.waited(s)
				return n, nil
			}
			if done, err := fd.tried(m, errno); done {
				return max(n, 0), err
			}
		}
		if err := fd.ready(s, eventIn, &wait); err != nil {
			return 0, err
		}
	}
}

// SendBatch sends the messages of b in order and waits where there is no room. It
// returns how many it has sent, and why not more.
func (fd *FD) SendBatch(b *sys.Batch, flags int) (int, error) {
	s := &fd.wr
	if err := fd.begin(s); err != nil {
		return 0, err
	}
	defer fd.end(s)
	sent := 0
	var wait patience
	for sent < b.Len() {
		n, errno := b.SendNow(fd.sysfd, sent, flags)
		fd.driver.NoteInline(errno == 0)
		switch errno {
		case 0:
			sent += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			if err := fd.ready(s, eventOut, &wait); err != nil {
				return sent, err
			}
		default:
			return sent, errno
		}
	}
	return sent, nil
}
