// Command udpecho is a UDP server that sends back what it receives, in batches:
// one system call receives all datagrams that are there, and one sends the
// answers.
//
//	go run ./examples/udpecho
//	go run ./examples/udpecho -addr 127.0.0.1:7008 -backend ring -batch 32
//	go run ./examples/udpecho -test 2s
//	nc -u 127.0.0.1 7008
//
// SIGINT or SIGTERM ends it and prints statistics. With -test, it is its own
// client for a while, checks the answers, and fails if one is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	stdnet "net"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
)

const usage = `
Usage: udpecho [flags]

A UDP server that sends back what it receives, in batches, on io_uring where
there is a ring. End it with SIGINT or SIGTERM: it prints statistics. With
-test it sends datagrams to itself and checks what comes back.
`

func main() { kit.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("udpecho", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, true)
	addr := fs.String("addr", "127.0.0.1:7008", "`address` to listen on; port 0 takes a free one")
	batch := fs.Int("batch", 64, "most datagrams received at a time, 1 to 64")
	size := fs.Int("size", 2048, "longest datagram that is sent back whole, in bytes")
	test := fs.Duration("test", 0, "send to itself for so `long`, check the answers and end; 0 serves until a signal")
	clients := fs.Int("clients", 32, "number of clients of the test")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 || *batch < 1 || *batch > 64 || *size < stampSize || *size > 65507 || *clients < 1 || *test < 0 {
		return kit.Usage(fs, stderr, fmt.Errorf("it takes flags only; -batch is 1 to 64, -size %d to 65507, -clients at least 1", stampSize))
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "udpecho: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	lc := net.ListenConfig{Runtime: rt}
	pc, err := lc.ListenPacket(ctx, "udp", *addr)
	if err != nil {
		fmt.Fprintf(stderr, "udpecho: %v (-addr chooses another address, 127.0.0.1:0 a free port)\n", err)
		return kit.ExitFailed
	}
	s := &server{conn: pc.(*net.UDPConn), batch: *batch, size: *size}
	fmt.Fprintf(stdout, "listening on %v\n", pc.LocalAddr())
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())

	code := kit.ExitOK
	if *test > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		done := make(chan report, 1)
		go func() {
			defer stop()
			done <- tryOut(ctx, rt, pc.LocalAddr().String(), *clients, min(*size, 512), *test)
		}()
		err = s.run(ctx)
		r := <-done
		fmt.Fprintf(stdout, "test:      %d answers checked, %d lost\n", r.answers, r.lost)
		err = errors.Join(err, r.err)
	} else {
		err = s.run(ctx)
	}
	if err = errors.Join(err, kit.Shutdown(rt)); err != nil {
		fmt.Fprintf(stderr, "udpecho: %v\n", err)
		code = kit.ExitFailed
	}
	fmt.Fprintf(stdout, "echoed:    %d datagrams of %d bytes in all, %.1f at a time\n", s.datagrams, s.bytes,
		float64(s.datagrams)/float64(max(s.batches, 1)))
	fmt.Fprintf(stdout, "truncated: %d datagrams longer than -size\n", s.truncated)
	fmt.Fprintf(stdout, "unsent:    %d answers that the system refused\n", s.refused)
	kit.Report(stdout, rt)
	return code
}

// server sends back what its socket receives.
type server struct {
	conn        *net.UDPConn
	batch, size int

	batches, datagrams, bytes, truncated, refused int64
}

// run serves until ctx ends.
func (s *server) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	in, out := make([]net.UDPMessage, s.batch), make([]net.UDPMessage, s.batch)
	mem := make([]byte, s.batch*s.size)
	for i := range in {
		in[i].Buffers = [][]byte{mem[i*s.size:][:s.size]}
		out[i].Buffers = make([][]byte, 1)
	}
	for {
		n, err := s.conn.ReadBatch(in, 0)
		if errors.Is(err, stdnet.ErrClosed) && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		s.batches++
		for i, m := range in[:n] {
			out[i].Buffers[0], out[i].Addr = m.Buffers[0][:m.N], m.Addr
			s.datagrams++
			s.bytes += int64(m.N)
			if m.Flags&msgTrunc != 0 {
				s.truncated++
			}
		}
		s.answer(out[:n])
	}
}

// msgTrunc is MSG_TRUNC: a datagram was longer than its buffer.
const msgTrunc = 0x20

// answer sends all messages. One that cannot be sent must not keep the others
// back: its receiver may have chosen an address that nobody can send to.
func (s *server) answer(ms []net.UDPMessage) {
	for len(ms) > 0 {
		n, err := s.conn.WriteBatch(ms, 0)
		if err == nil || errors.Is(err, stdnet.ErrClosed) {
			return
		}
		s.refused++
		ms = ms[n+1:]
	}
}

// lostAfter is how long a client of the test waits for an answer.
const lostAfter = time.Second
