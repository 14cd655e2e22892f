package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// The self-test: subscribers in rooms of so many, each of whom is sent so many
// messages, in so much time.
const (
	roomSize     = 50
	roomMessages = 20
	testMax      = time.Minute
)

// selftest serves clients in another process, which check what they are sent,
// and in this one a client that never reads, which must hinder nobody.
func selftest(ctx context.Context, rt *proactor.Runtime, o options, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, testMax)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	type started struct {
		addr string
		hub  *hub
	}
	o.addr, o.slow = "127.0.0.1:0", closeSlow
	ready, served := make(chan started, 1), make(chan error, 1)
	go func() {
		served <- serve(serving, rt, o, stdout, stderr, func(addr string, h *hub) { ready <- started{addr, h} })
	}()
	var s started
	select {
	case err := <-served:
		return err
	case s = <-ready:
	}
	err := joinElsewhere(ctx, s.addr, o.clients, stdout, stderr)
	if err == nil {
		err = neverRead(ctx, rt, s.addr, s.hub)
	}
	stop()
	if err = errors.Join(err, <-served); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "self-test:      everybody was sent what he had asked for, and who did not read was let go")
	return nil
}

// joinElsewhere runs the clients in a process of their own.
func joinElsewhere(ctx context.Context, addr string, clients int, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-join", addr, "-clients", strconv.Itoa(clients))
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the clients: %w", err)
	}
	return nil
}

// childEnv tells the process of the clients, which may be a test's, what it is.
const childEnv = "YAMANOTE_CHAT_CLIENTS"

// neverRead subscribes and then only publishes, until the server has had enough.
func neverRead(ctx context.Context, rt *proactor.Runtime, addr string, h *hub) error {
	c, err := connect(ctx, rt, addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.subscribe("slow"); err != nil {
		return err
	}
	text := make([]byte, lineMax-100)
	for i := range text {
		text[i] = 'x'
	}
	for h.slow.Load() == 0 {
		if _, err := fmt.Fprintf(c.conn, "PUB slow %s\n", text); err != nil {
			break // it is closed
		}
	}
	for h.slow.Load() == 0 { // the server has closed, and is about to count
		select {
		case <-ctx.Done():
			return errors.New("a client that does not read was not let go")
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// visitor is a client of the self-test.
type visitor struct {
	conn  net.Conn
	lines *bufio.Reader
}

func connect(ctx context.Context, rt *proactor.Runtime, addr string) (*visitor, error) {
	d := net.Dialer{Runtime: rt}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(testMax)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &visitor{conn, bufio.NewReaderSize(conn, 256)}, nil
}

func (v *visitor) subscribe(topic string) error {
	if _, err := fmt.Fprintf(v.conn, "SUB %s\n", topic); err != nil {
		return err
	}
	return v.expect("OK " + topic + "\n")
}

func (v *visitor) expect(want string) error {
	got, err := v.lines.ReadString('\n')
	if err == nil && got != want {
		err = fmt.Errorf("%q came instead of %q", got, want)
	}
	return err
}

// join is many clients of a server: all subscribe to the topic of their room,
// one publishes in each, and all have to be sent all of it, in order.
func join(ctx context.Context, rt *proactor.Runtime, addr string, clients int, stdout io.Writer) error {
	visitors := make([]*visitor, 0, clients)
	defer func() {
		for _, v := range visitors {
			_ = v.conn.Close()
		}
	}()
	room := func(i int) string { return "room" + strconv.Itoa(i/roomSize) }
	for i := range clients {
		v, err := connect(ctx, rt, addr)
		if err != nil {
			return fmt.Errorf("client %d of %d (ulimit -n says how many descriptors a process may have): %w", i, clients, err)
		}
		visitors = append(visitors, v)
		if err := v.subscribe(room(i)); err != nil {
			return err
		}
	}
	started := time.Now()
	errs := make(chan error, clients)
	for i, v := range visitors {
		go func() {
			var err error
			for n := 0; n < roomMessages && err == nil; n++ {
				err = v.expect(fmt.Sprintf("MSG %s message %d\n", room(i), n))
			}
			errs <- err
		}()
	}
	for i := 0; i < clients; i += roomSize {
		for n := range roomMessages {
			if _, err := fmt.Fprintf(visitors[i].conn, "PUB %s message %d\n", room(i), n); err != nil {
				return err
			}
		}
	}
	var err error
	for range visitors {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return err
	}
	took := time.Since(started)
	fmt.Fprintf(stdout, "clients:        %d in a process of their own (%d threads) were sent %d messages each in %v\n",
		clients, kit.Threads(), roomMessages, took.Round(time.Millisecond))
	return nil
}
