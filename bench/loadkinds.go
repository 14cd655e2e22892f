package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

// begin says that what is measured starts, and starts it.
func (l *load) begin() error {
	l.tell("begin")
	return l.mark()
}

// mark starts what is measured.
func (l *load) mark() error {
	var err error
	if l.spec.PID != 0 {
		l.before, err = usageOf(l.spec.PID)
	}
	l.started = time.Now()
	return err
}

// end ends it, after ops operations.
func (l *load) end(ops int64) error {
	l.result.Seconds = time.Since(l.started).Seconds()
	l.result.Ops = ops
	if l.spec.PID != 0 {
		after, err := usageOf(l.spec.PID)
		if err != nil {
			return err
		}
		l.result.Usage = after.sub(l.before)
	}
	l.tell("end")
	return nil
}

// echo runs a closed loop, in which each connection has one message under way
// all the time, or an open one, in which messages are due at a fixed rate
// whether or not the server keeps up. There a message's latency counts from
// when it was due.
func (l *load) echo() error {
	if err := l.connectAll(); err != nil {
		return err
	}
	open := l.spec.Kind == kindOpen
	l.started = time.Now()
	if !open {
		for i := range l.conns {
			if err := l.start(&l.conns[i], time.Since(l.started)); err != nil {
				return err
			}
		}
	}
	if err := l.loop(open, l.spec.Warm, nil); err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	if err := l.begin(); err != nil {
		return err
	}
	if !open {
		for i := range l.conns {
			if err := l.start(&l.conns[i], time.Since(l.started)); err != nil {
				return err
			}
		}
	}
	var ops int64
	if err := l.loop(open, l.spec.Measure, &ops); err != nil {
		return err
	}
	if err := l.end(ops); err != nil {
		return err
	}
	return l.settle()
}

// settle waits for the answers to what is under way.
func (l *load) settle() error {
	n := 0
	for i := range l.conns {
		if l.conns[i].busy {
			n++
		}
	}
	return l.drain(n)
}

// spinBelow is the time for which it is not worth while to sleep.
const spinBelow = 50 * time.Microsecond

// loop keeps the connections busy for a time and counts what is answered in
// it, if ops is not nil.
func (l *load) loop(open bool, d time.Duration, ops *int64) error {
	var (
		events [512]unix.EpollEvent
		last   = time.Since(l.started) // when something arrived
		first  = last
		due    int // open loop: the message that is due next, on connection due % n
		step   time.Duration
	)
	n := len(l.conns)
	if open {
		step = time.Duration(1e9 / l.spec.Rate)
		for i := range l.conns {
			l.conns[i].next = first + step*time.Duration(i)
		}
	}
	end := last + d
	for {
		now := time.Since(l.started)
		if now >= end {
			return nil
		}
		wait := min(end-now, time.Second)
		if open {
			var dueAt time.Duration
			for dueAt = first + step*time.Duration(due); dueAt <= now; dueAt += step {
				c := &l.conns[due%n]
				due++
				if c.busy || c.next > now {
					continue // sent, or will be when the answer comes
				}
				if err := l.startDue(c, step); err != nil {
					return err
				}
			}
			if wait = min(wait, dueAt-now); wait < spinBelow {
				wait = 0
			}
		}
		k, errno := epollWait(l.ep, events[:], wait)
		if errno != 0 && errno != syscall.EINTR {
			return os.NewSyscallError("epoll_wait", errno)
		}
		if k > 0 {
			last = now
		} else if now-last > l.giveUp {
			return fmt.Errorf("no answer for %v", l.giveUp)
		}
		for _, ev := range events[:max(k, 0)] {
			done, err := l.event(ev)
			if err != nil {
				return err
			}
			if !done {
				continue
			}
			c := &l.conns[ev.Fd]
			now := time.Since(l.started)
			if ops != nil {
				*ops++
				record(l.hist, now-c.intended)
			}
			switch {
			case !open:
				err = l.start(c, now)
			case c.next <= now:
				err = l.startDue(c, step)
			}
			if err != nil {
				return err
			}
		}
	}
}

// startDue starts the message that is due on a connection.
func (l *load) startDue(c *client, step time.Duration) error {
	intended := c.next
	c.next += step * time.Duration(len(l.conns))
	return l.start(c, intended)
}

// idle opens the connections and leaves them alone.
func (l *load) idle() error {
	if err := l.connectAll(); err != nil {
		return err
	}
	time.Sleep(l.spec.Warm)
	l.tell("begin")
	time.Sleep(200 * time.Millisecond) // the bench's question has cost the server something
	if err := l.mark(); err != nil {
		return err
	}
	time.Sleep(l.spec.Measure)
	return l.end(0)
}

// sendStream sends the server a number of bytes and has it say how many came.
func (l *load) sendStream() error {
	fd, err := l.stream()
	if err != nil {
		return err
	}
	pattern := control.Pattern()
	if err := l.begin(); err != nil {
		return err
	}
	for left := l.spec.Bytes; left > 0; {
		n, err := unix.Write(fd, pattern[:min(left, int64(len(pattern)))])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		left -= int64(n)
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return os.NewSyscallError("shutdown", err)
	}
	var count [8]byte
	if _, err := io.ReadFull(fdReader(fd), count[:]); err != nil {
		return err
	}
	if got := binary.LittleEndian.Uint64(count[:]); got != uint64(l.spec.Bytes) {
		return fmt.Errorf("%w: the server received %d bytes of %d", errWrong, got, l.spec.Bytes)
	}
	return l.end(l.spec.Bytes >> 20)
}

// recvStream has the server send a number of bytes and looks at each.
func (l *load) recvStream() error {
	fd, err := l.stream()
	if err != nil {
		return err
	}
	pattern := append(control.Pattern(), control.Pattern()...)
	buf := make([]byte, control.Chunk)
	if err := l.begin(); err != nil {
		return err
	}
	if _, err := unix.Write(fd, binary.LittleEndian.AppendUint64(nil, uint64(l.spec.Bytes))); err != nil {
		return os.NewSyscallError("write", err)
	}
	var got int64
	for got < l.spec.Bytes {
		n, err := fdReader(fd).Read(buf)
		if err != nil {
			return err
		}
		at := int(got % control.Chunk)
		if !bytes.Equal(buf[:n], pattern[at:at+n]) {
			return fmt.Errorf("%w between bytes %d and %d", errWrong, got, got+int64(n))
		}
		got += int64(n)
	}
	return l.end(l.spec.Bytes >> 20)
}

// stream opens the one connection of a stream.
func (l *load) stream() (int, error) {
	fd, err := connect(l.spec.Addr)
	if err != nil {
		return -1, err
	}
	l.conns = []client{{fd: int32(fd)}}
	timeout := unix.NsecToTimeval(int64(l.giveUp))
	for _, opt := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, opt, &timeout); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	return fd, nil
}

// fdReader reads a blocking descriptor.
type fdReader int

func (fd fdReader) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
