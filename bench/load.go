package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// loadSpec tells a load generator what to do. It is the last argument of its
// command line, in JSON.
type loadSpec struct {
	Kind    kind
	Addr    string
	PID     int // of the server, whose use of resources is measured; 0 for none
	Conns   int
	Size    int
	Warm    time.Duration
	Measure time.Duration
	Rate    float64 // messages a second, for open loops
	Bytes   int64   // for streams
}

// loadEvent is a line that a load generator prints: "begin" and "end" around
// what it measures, each of which it waits to be answered, then "result".
type loadEvent struct {
	Event  string
	Error  string     `json:",omitempty"`
	Wrong  bool       `json:",omitempty"` // the error is wrong data
	Result loadResult `json:",omitzero"`
}

// loadResult is what one run of a load has measured.
type loadResult struct {
	Ops      int64 // in the measured time
	AllOps   int64 // with connecting and warming up
	Seconds  float64
	Usage    Usage // of the server
	RSSStart int64 // of the server before the first connection
	Latency  Latency
}

// Latency is a distribution of latencies.
type Latency struct {
	P50, P90, P99, P999, Max time.Duration
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	q := func(p float64) time.Duration { return time.Duration(h.ValueAtQuantile(p)) }
	return Latency{P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), Max: time.Duration(h.Max())}
}

// newHistogram counts latencies from a nanosecond to a minute with three
// digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 1), int64(time.Minute)))
}

// errWrong says that a server has sent other bytes than it should.
var errWrong = errors.New("wrong data")

// loadMain is the load generator's process.
func loadMain(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument")
	}
	var spec loadSpec
	if err := json.Unmarshal([]byte(args[0]), &spec); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	answers := make(chan struct{})
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			answers <- struct{}{}
		}
		os.Exit(0) // the bench is gone: so is its load
	}()
	out := json.NewEncoder(os.Stdout)
	result, err := runLoad(spec, func(event string) {
		if out.Encode(loadEvent{Event: event}) == nil {
			<-answers
		}
	})
	event := loadEvent{Event: "result", Result: result}
	if err != nil {
		event.Error, event.Wrong = err.Error(), errors.Is(err, errWrong)
	}
	return out.Encode(event)
}

// runLoad runs a load on one thread.
func runLoad(spec loadSpec, tell func(event string)) (loadResult, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &load{spec: spec, tell: tell, hist: newHistogram(), giveUp: 20*time.Second + spec.Warm + spec.Measure}
	defer l.close()
	if spec.PID != 0 {
		u, err := usageOf(spec.PID)
		if err != nil {
			return l.result, err
		}
		l.result.RSSStart = u.RSS
	}
	var err error
	switch spec.Kind {
	case kindEcho, kindOpen:
		err = l.echo()
	case kindIdle:
		err = l.idle()
	case kindRecv:
		err = l.sendStream()
	case kindSend:
		err = l.recvStream()
	default:
		err = fmt.Errorf("no load for %v", spec.Kind)
	}
	l.result.Latency = latencyOf(l.hist)
	return l.result, err
}

// load is a load under way.
type load struct {
	spec   loadSpec
	tell   func(event string)
	result loadResult
	hist   *hdrhistogram.Histogram
	giveUp time.Duration // longest time without an answer

	ep      int
	conns   []client
	block   []byte // what messages are cut from
	out     []byte // the message being sent
	in      []byte
	before  Usage
	started time.Time
}

// client is a connection: at most one message is under way on it.
type client struct {
	fd       int32
	out      bool // waits for room to send
	busy     bool
	id       uint32
	seq      uint32
	sent     int
	got      int
	intended time.Duration // when the message under way should have been sent, from load.started
	next     time.Duration // open loop: the same for the next one
}

const stampSize = 8

// A message is a stamp that no other message has, then a stretch of random
// bytes that depends on it.
func (l *load) stamp(c *client) uint64 { return uint64(c.id)<<32 | uint64(c.seq) }

func (l *load) body(c *client) []byte {
	off := int(c.id*31+c.seq*7) & 4095
	return l.block[off : off+l.spec.Size-stampSize]
}

// check compares what arrived for c, at position c.got, with what was sent.
func (l *load) check(c *client, b []byte) bool {
	if c.got < stampSize {
		var stamp [stampSize]byte
		binary.LittleEndian.PutUint64(stamp[:], l.stamp(c))
		n := min(len(b), stampSize-c.got)
		if !bytes.Equal(b[:n], stamp[c.got:c.got+n]) {
			return false
		}
		c.got += n
		b = b[n:]
	}
	body := l.body(c)
	at := c.got - stampSize
	if at+len(b) > len(body) {
		return false
	}
	c.got += len(b)
	return bytes.Equal(b, body[at:at+len(b)])
}

// send sends the message under way, or as much as there is room for.
func (l *load) send(c *client) error {
	binary.LittleEndian.PutUint64(l.out, l.stamp(c))
	copy(l.out[stampSize:], l.body(c))
	for c.sent < l.spec.Size {
		n, errno := rawSend(int(c.fd), l.out[c.sent:l.spec.Size])
		switch errno {
		case 0:
			c.sent += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return l.want(c, true)
		default:
			return os.NewSyscallError("send", errno)
		}
	}
	return l.want(c, false)
}

// want says whether to wait for room to send, besides for what is received.
func (l *load) want(c *client, out bool) error {
	if c.out == out {
		return nil
	}
	c.out = out
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.id)}
	if out {
		ev.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, int(c.fd), &ev)
}

// start begins the next message of c.
func (l *load) start(c *client, intended time.Duration) error {
	c.seq++
	c.busy, c.sent, c.got, c.intended = true, 0, 0, intended
	return l.send(c)
}

// receive takes what has arrived for c, and reports whether its message is
// complete. If not, epoll will say when there is more.
func (l *load) receive(c *client) (bool, error) {
	n, errno := rawRecv(int(c.fd), l.in[:max(1, l.spec.Size-c.got)])
	switch {
	case errno == syscall.EINTR || errno == syscall.EAGAIN:
		return false, nil
	case errno != 0:
		return false, os.NewSyscallError("recv", errno)
	case n == 0:
		return false, io.ErrUnexpectedEOF
	case !c.busy:
		return false, fmt.Errorf("%w: %d bytes that nobody has sent", errWrong, n)
	case !l.check(c, l.in[:n]):
		return false, fmt.Errorf("%w in message %d of connection %d", errWrong, c.seq, c.id)
	}
	if c.got < l.spec.Size {
		return false, nil
	}
	c.busy = false
	l.result.AllOps++
	return true, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = unix.Close(int(c.fd))
	}
	if l.ep > 0 {
		_ = unix.Close(l.ep)
	}
}

// connectAll opens the connections, and sends a message over each, so that the
// server has accepted them all.
func (l *load) connectAll() error {
	var err error
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	rng := rand.NewChaCha8([32]byte{1})
	l.block = make([]byte, l.spec.Size+4096)
	_, _ = rng.Read(l.block)
	l.out = make([]byte, l.spec.Size)
	l.in = make([]byte, l.spec.Size+1)
	l.conns = make([]client, 0, l.spec.Conns)
	l.started = time.Now()
	const batch = 128 // fits into every backlog
	for len(l.conns) < l.spec.Conns {
		first := len(l.conns)
		for len(l.conns) < min(first+batch, l.spec.Conns) {
			fd, err := connect(l.spec.Addr)
			if err != nil {
				return err
			}
			l.conns = append(l.conns, client{fd: int32(fd), id: uint32(len(l.conns))})
			ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(l.conns) - 1)}
			if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
				return os.NewSyscallError("epoll_ctl", err)
			}
			if err := l.start(&l.conns[len(l.conns)-1], 0); err != nil {
				return err
			}
		}
		if err := l.drain(len(l.conns) - first); err != nil {
			return err
		}
	}
	return nil
}

// drain waits for the answers to n messages.
func (l *load) drain(n int) error {
	var events [128]unix.EpollEvent
	for deadline := time.Now().Add(l.giveUp); n > 0; {
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer to %d messages", n)
		}
		k, errno := epollWait(l.ep, events[:], time.Second)
		if errno != 0 && errno != syscall.EINTR {
			return os.NewSyscallError("epoll_wait", errno)
		}
		for _, ev := range events[:max(k, 0)] {
			done, err := l.event(ev)
			if err != nil {
				return err
			}
			if done {
				n--
			}
		}
	}
	return nil
}

// event handles what epoll says of a connection, and reports whether its
// message is complete.
func (l *load) event(ev unix.EpollEvent) (bool, error) {
	c := &l.conns[ev.Fd]
	if c.out && ev.Events&unix.EPOLLOUT != 0 {
		if err := l.send(c); err != nil {
			return false, err
		}
	}
	if ev.Events&^unix.EPOLLOUT == 0 {
		return false, nil
	}
	return l.receive(c)
}

// connect connects to the server. Closing the socket resets the connection:
// what was to be measured is over, and a port in TIME_WAIT is one less for the
// next round.
func connect(addr string) (int, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()})
		if err != unix.EINTR {
			break
		}
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}
