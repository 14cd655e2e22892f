package poll

import (
	"io"
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// vectors are lists in the kernel's form. They are needed for as long as a system
// call takes, so that connections need not have one each.
var vectors = sync.Pool{New: func() any { return new(sys.Vector) }}

// maxSend is the most that one system call is asked to send of several pieces. A
// stream socket takes less at once.
const maxSend = 1 << 30

// SendBuffers sends all of v to a stream socket, several pieces with each system
// call, and takes out of v what has been sent: also if it fails in the middle.
// What has been taken out is forgotten, so that it can be garbage. A list of
// nothing but empty pieces stays as it is. If SetBehind allows it, little data
// are only copied; see Send.
func (fd *FD) SendBuffers(v *[][]byte) (int64, error) {
	s := &fd.wr
	if err := fd.begin(s); err != nil {
		return 0, err
	}
	defer fd.end(s)
	if z := fd.zero.Load(); z != nil && z.wants(total(*v)) {
		n, err := fd.sendZeroVector(s, z, v)
		if err != nil {
			return n, err
		}
		rest, err := fd.sendPieces(s, v)
		return n + rest, err
	}
	if w := fd.behind.Load(); w != nil {
		if n, err := w.takeAll(*v); n != 0 || err != nil {
			consume(v, n)
			return n, err
		}
	}
	return fd.sendPieces(s, v)
}

// sendPieces sends a list by copying. The caller has the direction's lock.
func (fd *FD) sendPieces(s *side, v *[][]byte) (int64, error) {
	vec := vectors.Get().(*sys.Vector)
	defer func() {
		vec.Clear()
		vectors.Put(vec)
	}()
	return fd.sendVector(s, v, vec)
}

// sendVector does the work of SendBuffers. What does not fit into the socket
// waits for room by a poll: a SENDMSG of the ring would fail with EAGAIN if
// somebody has made the descriptor non-blocking.
func (fd *FD) sendVector(s *side, v *[][]byte, vec *sys.Vector) (sent int64, err error) {
	var p patience
	for {
		want := vec.Set(*v, maxSend)
		if want == 0 {
			return sent, nil
		}
		if err := s.check(); err != nil {
			return sent, err
		}
		n, errno := vec.SendNow(fd.sysfd)
		fd.driver.NoteInline(errno == 0 && n == want)
		switch errno {
		case 0:
			if n == 0 {
				return sent, io.ErrUnexpectedEOF
			}
			sent += int64(n)
			consume(v, int64(n))
			p = patience{}
		case syscall.EAGAIN:
			if err := fd.ready(s, eventOut, &p); err != nil {
				return sent, err
			}
		case syscall.EINTR:
		default:
			return sent, errno
		}
	}
}

// consume takes the first n bytes out of a list.
func consume(v *[][]byte, n int64) {
	for len(*v) > 0 {
		first := int64(len((*v)[0]))
		if first > n {
			(*v)[0] = (*v)[0][n:]
			return
		}
		n -= first
		(*v)[0] = nil
		*v = (*v)[1:]
	}
}

// takeAll is take for several pieces, all or none. It returns how many bytes it
// has taken.
func (w *behind) takeAll(bufs [][]byte) (int64, error) {
	n := 0
	for _, b := range bufs {
		if n += len(b); n > MaxBehind {
			break
		}
	}
	taken, err := w.admit(n)
	if !taken {
		return 0, err
	}
	for _, b := range bufs {
		if len(b) > 0 {
			w.put(b)
		}
	}
	w.release()
	if n > 0 {
		w.fd.driver.NoteBehind()
	}
	return int64(n), nil
}
