package poll

import (
	"time"

	"github.com/yamanote-go/yamanote/internal/sys"
)

func never() error { return nil }

// Flush waits until all that was written has been handed to the kernel, or
// says why it cannot be. It fails with os.ErrDeadlineExceeded if the write
// deadline is earlier.
func (fd *FD) Flush() error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	w := fd.behind.Load()
	if w == nil {
		return nil
	}
	fd.wr.lock.Lock()
	defer fd.wr.lock.Unlock()
	if err := w.await(false, fd.wr.check); err != nil {
		return err
	}
	defer w.release()
	return w.report()
}

// CloseWrite closes the sending direction of a connected socket, once what was
// written has been sent. It does not wait for a peer that does not read.
func (fd *FD) CloseWrite() error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	w := fd.behind.Load()
	if w == nil {
		return sys.ShutdownWrite(fd.sysfd)
	}
	if fd.wr.lock.TryLock() { // else a Write waits already, for longer
		if w.await(true, fd.wr.check) == nil {
			w.release()
		}
		fd.wr.lock.Unlock()
	}
	w.hold()
	defer w.release()
	switch {
	case w.lost:
		return w.report()
	case w.active:
		w.shut = true // goOn does it
		return nil
	}
	err := sys.ShutdownWrite(fd.sysfd)
	w.shut = w.shut || err == nil
	return err
}

// close closes the socket, which nobody uses any more. What was written is sent
// first, as by the kernel after close(2): if there is room, before close
// returns; if there is none, in the background for as long as linger; and if
// SO_LINGER is set, as that says.
func (w *behind) close() error {
	sysfd := w.fd.sysfd
	w.hold()
	active := w.active
	w.release()
	if !active {
		return w.closeSocket()
	}
	seconds := sys.Linger(sysfd)
	if seconds < 0 {
		_ = w.await(true, never)
		if w.active {
			w.orphan = true
			w.timer = time.AfterFunc(w.linger, w.drop)
			w.release()
			return nil
		}
		w.release()
		return w.closeSocket()
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	if seconds == 0 {
		w.drop()
	} else {
		defer time.AfterFunc(time.Until(end), w.drop).Stop()
	}
	_ = w.await(false, never)
	lost := w.lost
	w.release()
	if seconds > 0 && !lost {
		// What remains of the time is the kernel's. Zero would mean to reset.
		left := (time.Until(end) + time.Second - 1) / time.Second
		_ = sys.SetLinger(sysfd, int(max(left, 1)))
	}
	return w.closeSocket()
}

// drop gives up what is unsent.
func (w *behind) drop() {
	w.dropping.Store(true) // pairs with the load in start, after submission
	w.fd.driver.Cancel(&w.op)
}

// closeOrphan closes the socket after the last send.
func (w *behind) closeOrphan() {
	w.timer.Stop()
	_ = w.closeSocket()
}

// closeSocket closes the socket. Nothing is unsent, and nobody else is there.
func (w *behind) closeSocket() error {
	if w.lost {
		// The peer must not take what it has got for all there was.
		_ = sys.SetLinger(w.fd.sysfd, 0)
	}
	return sys.Close(w.fd.sysfd)
}
