//go:build linux

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
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

// loadMain is the load generator in Go, for machines without a C compiler: the
// same protocol and messages as load.c, on one thread.
func loadMain(args []string) error {
	spec, err := parseLoadArgs(args)
	if err != nil {
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
	ev := loadEvent{Event: "result", loadResult: result}
	if err != nil {
		ev.Error, ev.Wrong = err.Error(), errors.Is(err, errWrong)
	}
	return out.Encode(ev)
}

// runLoad runs a load on one thread.
func runLoad(spec loadSpec, tell func(event string)) (loadResult, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if spec.Threads > 1 {
		return loadResult{}, errors.New("the load in Go has one thread only")
	}
	l := &load{spec: spec, tell: tell, hist: make([]int64, allBuckets)}
	defer l.close()
	var err error
	switch spec.Kind {
	case kindEcho, kindOpen:
		err = l.echo()
	case kindIdle:
		err = l.idle()
	case kindRecv:
		err = l.stream(l.feed)
	case kindSend:
		err = l.stream(l.drink)
	case kindHTTP, kindHTTPS:
		err = l.http(spec.Kind == kindHTTPS)
	case kindUDP, kindChurn:
		err = fmt.Errorf("the load of %q is in C only, which needs gcc", spec.Kind)
	default:
		err = fmt.Errorf("no load for %q", spec.Kind)
	}
	for i, n := range l.hist {
		if n > 0 {
			l.result.Buckets = append(l.result.Buckets, [2]int64{int64(i), n})
		}
	}
	return l.result, err
}

// load is a load under way. Times count from zero.
type load struct {
	spec   loadSpec
	tell   func(event string)
	result loadResult
	hist   []int64
	zero   time.Time

	ep         int
	conns      []client
	block      []byte // what messages are cut from
	out, in    []byte
	events     [512]unix.EpollEvent
	begin, end time.Duration
	step       time.Duration // open loop: between two messages
	due        int           // of which so many have been due
	counting   bool
	cpu        time.Duration
}

// client is a connection: at most one message is under way on it.
type client struct {
	fd             int
	id, seq        uint32
	sent, got      int
	busy, out      bool // an answer is awaited; room to send is awaited
	intended, next time.Duration
}

func (l *load) now() time.Duration { return time.Since(l.zero) }

// message returns the message under way: a stamp that no other message has,
// then a stretch of random bytes that depends on it.
func (l *load) message(c *client) []byte {
	binary.LittleEndian.PutUint64(l.out, uint64(c.id)<<32|uint64(c.seq))
	off := int(c.id*31+c.seq*7) & 4095
	copy(l.out[stampSize:], l.block[off:])
	return l.out
}

// push sends the message under way, or as much as there is room for.
func (l *load) push(c *client) error {
	msg := l.message(c)
	for c.sent < len(msg) {
		n, err := unix.Write(c.fd, msg[c.sent:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return l.want(c, true)
		case err != nil:
			return os.NewSyscallError("write", err)
		default:
			c.sent += n
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
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, c.fd, &ev))
}

func (l *load) start(c *client, intended time.Duration) error {
	c.seq++
	c.busy, c.sent, c.got, c.intended = true, 0, 0, intended
	return l.push(c)
}

// receive takes what has arrived for c, and reports whether its message is
// complete. If not, epoll says when there is more.
func (l *load) receive(c *client) (bool, error) {
	room := 1
	if c.busy {
		room = len(l.out) - c.got
	}
	n, err := unix.Read(c.fd, l.in[:room])
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		return false, nil
	case err != nil:
		return false, os.NewSyscallError("read", err)
	case n == 0:
		return false, fmt.Errorf("the server has closed connection %d", c.id)
	case !c.busy:
		return false, fmt.Errorf("%w: %d bytes that nobody has sent", errWrong, n)
	case !bytes.Equal(l.in[:n], l.message(c)[c.got:c.got+n]):
		return false, fmt.Errorf("%w in message %d of connection %d", errWrong, c.seq, c.id)
	}
	c.got += n
	c.busy = c.got < len(l.out)
	return !c.busy, nil
}

// event handles what epoll says of a connection, and reports whether its
// message is complete.
func (l *load) event(ev unix.EpollEvent) (bool, error) {
	c := &l.conns[ev.Fd]
	if c.out && ev.Events&unix.EPOLLOUT != 0 {
		if err := l.push(c); err != nil {
			return false, err
		}
	}
	if ev.Events&^unix.EPOLLOUT == 0 {
		return false, nil
	}
	return l.receive(c)
}

// wait waits at most d for events.
func (l *load) wait(d time.Duration) ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(l.ep, l.events[:], int(d.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, os.NewSyscallError("epoll_wait", err)
	}
	return l.events[:max(n, 0)], nil
}

func (l *load) count(c *client, now time.Duration) {
	if !l.counting {
		return
	}
	l.result.Work++
	l.hist[bucketOf(int64(now-c.intended))]++
	l.result.Max = max(l.result.Max, int64(now-c.intended))
}

// settle waits for the answers to what is under way.
func (l *load) settle() error {
	left := 0
	for i := range l.conns {
		if l.conns[i].busy {
			left++
		}
	}
	for last := l.now(); left > 0; {
		events, err := l.wait(time.Second)
		if err != nil {
			return err
		}
		now := l.now()
		if len(events) > 0 {
			last = now
		} else if now-last > l.spec.GiveUp {
			return fmt.Errorf("no answer to %d messages for %v", left, l.spec.GiveUp)
		}
		for _, ev := range events {
			done, err := l.event(ev)
			if err != nil {
				return err
			}
			if done {
				l.count(&l.conns[ev.Fd], now)
				left--
			}
		}
	}
	return nil
}

func (l *load) startDue(c *client) error {
	intended := c.next
	c.next += l.step * time.Duration(len(l.conns))
	return l.start(c, intended)
}

// sendDue starts what is due on connections that are free, and returns when
// the next message is due.
func (l *load) sendDue(now time.Duration) (time.Duration, error) {
	for {
		at := l.begin + l.step*time.Duration(l.due)
		if at > now || at >= l.end {
			return at, nil
		}
		c := &l.conns[l.due%len(l.conns)]
		l.due++
		if c.busy || c.next > now {
			continue // it goes out when the answer is there
		}
		if err := l.startDue(c); err != nil {
			return at, err
		}
	}
}

// loop keeps the connections busy from begin to end.
func (l *load) loop() error {
	open := l.spec.Rate > 0
	l.due = 0
	for i := range l.conns {
		c := &l.conns[i]
		if c.next = l.begin + l.step*time.Duration(i); open {
			continue
		}
		if err := l.start(c, l.now()); err != nil {
			return err
		}
	}
	for last := l.begin; ; {
		now := l.now()
		if now >= l.end {
			return nil
		}
		wait := min(l.end-now, time.Second)
		if open {
			at, err := l.sendDue(now)
			if err != nil {
				return err
			}
			wait = min(wait, at-now) // of whole milliseconds: it spins before the time
		}
		events, err := l.wait(max(wait, 0))
		if err != nil {
			return err
		}
		if len(events) > 0 {
			last = now
		} else if now-last > l.spec.GiveUp {
			return fmt.Errorf("no answer for %v", l.spec.GiveUp)
		}
		for _, ev := range events {
			if err := l.answered(ev, open); err != nil {
				return err
			}
		}
	}
}

// answered handles an event in the loop: an answer is counted, and the next
// message sent.
func (l *load) answered(ev unix.EpollEvent, open bool) error {
	done, err := l.event(ev)
	if err != nil || !done {
		return err
	}
	c := &l.conns[ev.Fd]
	now := l.now()
	l.count(c, now)
	if now >= l.end {
		return nil
	}
	if l.counting {
		l.result.Ops++
	}
	switch {
	case !open:
		return l.start(c, now)
	case c.next <= now:
		return l.startDue(c)
	}
	return nil
}

// batch of connections that fits into every backlog.
const batch = 128

// connectAll opens the connections and exchanges a message over each, so that
// the server has accepted them all.
func (l *load) connectAll() error {
	var err error
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	l.zero = time.Now()
	l.block = make([]byte, l.spec.Size+4096)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(l.block)
	l.out, l.in = make([]byte, l.spec.Size), make([]byte, l.spec.Size)
	l.conns = make([]client, 0, l.spec.Conns)
	for i := range l.spec.Conns {
		fd, err := dial(l.spec.Port)
		if err != nil {
			return err
		}
		l.conns = append(l.conns, client{fd: fd, id: uint32(i)})
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		err = errors.Join(os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev)),
			os.NewSyscallError("fcntl", unix.SetNonblock(fd, true)))
		if err != nil {
			return err
		}
		if err := l.start(&l.conns[i], 0); err != nil {
			return err
		}
		if i%batch == batch-1 {
			if err := l.settle(); err != nil {
				return err
			}
		}
	}
	return l.settle()
}

// dial connects to the server. Closing the socket resets the connection: what
// was to be measured is over, and a port in TIME_WAIT is one less for the next
// round.
func dial(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	err = errors.Join(os.NewSyscallError("connect", err),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)),
		os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})))
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = unix.Close(c.fd)
	}
	if l.ep > 0 {
		_ = unix.Close(l.ep)
	}
}

// started says that what is measured begins.
func (l *load) started() {
	l.tell("begin")
	l.cpu = ownCPU()
}

// ended says that it is over.
func (l *load) ended(elapsed time.Duration) {
	l.result.Seconds = elapsed.Seconds()
	l.result.CPU = (ownCPU() - l.cpu).Seconds()
	l.tell("end")
}

func ownCPU() time.Duration {
	d, err := processCPU(os.Getpid())
	if err != nil {
		return 0
	}
	return d
}

// echo runs a closed loop, in which each connection has one message under way
// all the time, or an open one, in which messages are due at a fixed rate
// whether or not the server keeps up. There a message's latency counts from
// when it was due.
func (l *load) echo() error {
	if err := l.connectAll(); err != nil {
		return err
	}
	if l.spec.Rate > 0 {
		l.step = time.Duration(1e9 / l.spec.Rate)
	}
	l.begin = l.now()
	l.end = l.begin + l.spec.Warm
	if err := l.loop(); err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	l.started()
	l.begin, l.counting = l.now(), true
	l.end = l.begin + l.spec.Measure
	if err := l.loop(); err != nil {
		return err
	}
	for i := range l.conns {
		for at := l.conns[i].next; l.step > 0 && at < l.end; at += l.step * time.Duration(len(l.conns)) {
			l.result.Unsent++
		}
	}
	if err := l.settle(); err != nil {
		return err
	}
	l.ended(l.spec.Measure)
	return nil
}

// idle opens the connections and leaves them alone.
func (l *load) idle() error {
	if err := l.connectAll(); err != nil {
		return err
	}
	time.Sleep(l.spec.Warm)
	l.started()
	time.Sleep(l.spec.Measure)
	l.ended(l.spec.Measure)
	return nil
}

// stream moves some bytes to warm up, and then those that are measured.
func (l *load) stream(move func(bytes int64) error) error {
	if err := move(max(1, l.spec.Bytes/16)); err != nil {
		return err
	}
	l.started()
	start := time.Now()
	if err := move(l.spec.Bytes); err != nil {
		return err
	}
	l.result.Ops = l.spec.Bytes >> 20
	l.result.Work = l.result.Ops
	l.ended(time.Since(start))
	return nil
}

// feed sends the server so many bytes and has it say how many came.
func (l *load) feed(size int64) error {
	fd, err := l.dialStream()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	pattern := control.Pattern()
	for left := size; left > 0; {
		n, err := unix.Write(fd, pattern[:min(left, int64(len(pattern)))])
		if errors.Is(err, unix.EINTR) {
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
	if got := binary.LittleEndian.Uint64(count[:]); got != uint64(size) {
		return fmt.Errorf("%w: the server received %d bytes of %d", errWrong, got, size)
	}
	return nil
}

// drink has the server send so many bytes and looks at each.
func (l *load) drink(size int64) error {
	fd, err := l.dialStream()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	pattern := append(control.Pattern(), control.Pattern()...)
	buf := make([]byte, control.Chunk)
	if _, err := unix.Write(fd, binary.LittleEndian.AppendUint64(nil, uint64(size))); err != nil {
		return os.NewSyscallError("write", err)
	}
	for got := int64(0); got < size; {
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
	return nil
}

func (l *load) dialStream() (int, error) {
	fd, err := dial(l.spec.Port)
	if err != nil {
		return -1, err
	}
	timeout := unix.NsecToTimeval(int64(l.spec.GiveUp))
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
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
