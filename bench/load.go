package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	stdnet "net"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// load is the client: one thread on epoll, so that it costs little beside the
// servers. It checks every byte that comes back.
type load struct {
	o     order
	ep    int
	conns []clientConn
	hist  *hdrhistogram.Histogram
	out   []byte
	in    []byte

	units   float64
	started time.Time
	counted time.Time // what ends before is warming up
	end     time.Time
}

// clientConn is one connection.
type clientConn struct {
	fd       int
	seq      uint32
	got      int       // bytes of the answer so far
	busy     bool      // an answer is awaited
	intended time.Time // when its message was to be sent
	next     time.Time // open loop: when the next one is
}

// warmUp is the part of a measurement that does not count.
const warmUp = 0.2

// runLoad is the load process.
func runLoad(o order) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	l := &load{o: o, hist: hdrhistogram.New(1, 60_000_000, 3)} // µs
	size := max(o.Size, 8)
	l.out, l.in = make([]byte, size), make([]byte, max(size, 64<<10))
	for i := range l.out {
		l.out[i] = byte(i * 7)
	}
	var err error
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if err := l.connect(); err != nil {
		return err
	}
	l.started = time.Now()
	l.counted = l.started.Add(time.Duration(warmUp * o.Seconds * float64(time.Second)))
	l.end = l.counted.Add(time.Duration(o.Seconds * float64(time.Second)))
	switch o.Mode {
	case idle:
		err = l.idle()
	case source, sink:
		err = l.stream()
	default:
		err = l.echo()
	}
	if err != nil {
		return err
	}
	seconds := time.Since(l.counted).Seconds()
	return say(result{
		Units: l.units, Seconds: seconds, Syscalls: -1,
		P50:  float64(l.hist.ValueAtQuantile(50)),
		P99:  float64(l.hist.ValueAtQuantile(99)),
		P999: float64(l.hist.ValueAtQuantile(99.9)),
	})
}

func (l *load) connect() error {
	addr, err := stdnet.ResolveTCPAddr("tcp4", l.o.Addr)
	if err != nil {
		return err
	}
	sa := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	l.conns = make([]clientConn, l.o.Conns)
	for i := range l.conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket %d (raise ulimit -n?): %w", i, err)
		}
		if err := unix.Connect(fd, sa); err != nil {
			return fmt.Errorf("connect %d: %w", i, err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("setsockopt: %w", err)
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return fmt.Errorf("fcntl: %w", err)
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
		l.conns[i].fd = fd
	}
	return nil
}

// echo sends messages and waits for their answers: each connection one at a
// time, as soon as the last is answered or, in an open loop, at its time.
func (l *load) echo() error {
	now := time.Now()
	for i := range l.conns {
		c := &l.conns[i]
		c.next = now
		if l.o.Rate > 0 {
			c.next = now.Add(time.Duration(float64(i) / float64(l.o.Rate) * float64(time.Second)))
			continue
		}
		if err := l.send(i, now); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, 512)
	for now := time.Now(); now.Before(l.end); now = time.Now() {
		timeout := 100
		if l.o.Rate > 0 {
			timeout = 0 // it is the load's own processor
			if err := l.sendDue(now); err != nil {
				return err
			}
		}
		n, err := unix.EpollWait(l.ep, events, timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			if err := l.receive(int(ev.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendDue sends what an open loop has to send by now, on idle connections. A
// connection that still waits for its answer sends late, and its message's
// time runs from when it was to be sent.
func (l *load) sendDue(now time.Time) error {
	for i := range l.conns {
		if c := &l.conns[i]; !c.busy && !c.next.After(now) {
			if err := l.send(i, c.next); err != nil {
				return err
			}
		}
	}
	return nil
}

// stamp makes each message tell which it is.
func (l *load) stamp(i int) {
	binary.LittleEndian.PutUint32(l.out, uint32(i))
	binary.LittleEndian.PutUint32(l.out[4:], l.conns[i].seq)
}

func (l *load) send(i int, intended time.Time) error {
	c := &l.conns[i]
	c.seq++
	l.stamp(i)
	for sent := 0; sent < len(l.out); {
		n, err := unix.Write(c.fd, l.out[sent:])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue // a message fits a socket's buffer but for moments
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		sent += n
	}
	c.busy, c.got, c.intended = true, 0, intended
	if l.o.Rate > 0 {
		every := time.Duration(float64(len(l.conns)) / float64(l.o.Rate) * float64(time.Second))
		c.next = c.next.Add(every)
	}
	return nil
}

func (l *load) receive(i int) error {
	c := &l.conns[i]
	n, err := unix.Read(c.fd, l.in[:len(l.out)-c.got])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errors.New("the server closed the connection")
	}
	if err := l.check(i, l.in[:n]); err != nil {
		return err
	}
	if c.got += n; c.got < len(l.out) {
		return nil
	}
	now := time.Now()
	c.busy = false
	if now.After(l.counted) {
		l.units++
		_ = l.hist.RecordValue(max(1, now.Sub(c.intended).Microseconds()))
	}
	if l.o.Rate == 0 {
		return l.send(i, now)
	}
	return nil
}

// check compares what came back with what was sent.
func (l *load) check(i int, got []byte) error {
	c := &l.conns[i]
	l.stamp(i)
	for k, b := range got {
		if b != l.out[c.got+k] {
			return fmt.Errorf("connection %d, message %d: byte %d came back as %#x, not %#x",
				i, c.seq, c.got+k, b, l.out[c.got+k])
		}
	}
	return nil
}

// stream moves bytes one way.
func (l *load) stream() error {
	fd := l.conns[0].fd
	if err := unix.SetNonblock(fd, false); err != nil {
		return err
	}
	move := unix.Read
	if l.o.Mode == sink {
		move = unix.Write
	}
	const mib = 1 << 20
	for now := time.Now(); now.Before(l.end); now = time.Now() {
		n, err := move(fd, l.in)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("%s: %w", l.o.Mode, err)
		}
		if now.After(l.counted) {
			l.units += float64(max(n, 0)) / mib
		}
	}
	return nil
}

// idle exchanges one message on each connection, and then nothing.
func (l *load) idle() error {
	for i := range l.conns {
		if err := l.send(i, time.Now()); err != nil {
			return err
		}
	}
	time.Sleep(time.Until(l.counted))
	if err := say(result{}); err != nil { // from here on the server should do nothing
		return err
	}
	time.Sleep(time.Until(l.end))
	return nil
}
