// Command chat is a server that passes lines on to who has subscribed to their
// topic, made for ten thousand connections and more: each has one goroutine
// that reads, and another one only while something is being sent to it.
//
//	go run ./examples/chat
//	go run ./examples/chat -addr 127.0.0.1:7092 -queue 256 -slow drop
//	go run ./examples/chat -selftest -clients 2000
//	nc 127.0.0.1 7092
//
// A client says
//
//	SUB topic          and is sent "MSG topic text" for what others publish
//	UNSUB topic
//	PUB topic text
//	PING               and is answered PONG
//
// What is to be sent to a client waits in a queue with a bound. For a client
// that does not read, -slow decides: close ends its connection, drop leaves out
// what there is no room for. SIGINT or SIGTERM ends the server: clients are told
// BYE, what is queued is sent, and then it prints statistics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

const usage = `
Usage: chat [flags]
       chat -selftest [-clients N]

A publish and subscribe server for very many connections, on io_uring where
there is a ring. Clients say "SUB topic", "UNSUB topic", "PUB topic text" or
"PING". End it with SIGINT or SIGTERM: it sends what is queued and prints
statistics.
`

func main() { kit.Main(run) }

// options are what the flags say.
type options struct {
	addr     string
	most     int
	queue    int
	slow     policy
	patience time.Duration
	grace    time.Duration

	selftest bool
	clients  int
	join     string // be the clients of the server at this address
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, true)
	var o options
	fs.StringVar(&o.addr, "addr", "127.0.0.1:7092", "`address` to listen on; port 0 takes a free one")
	fs.IntVar(&o.most, "max", 65536, "most connections at a time; others wait to be accepted")
	fs.IntVar(&o.queue, "queue", 128, "most messages that wait to be sent to a client")
	fs.TextVar(&o.slow, "slow", closeSlow, "what becomes of a client whose queue is full: close or drop")
	fs.DurationVar(&o.patience, "patience", 30*time.Second, "how long a client may take to accept some bytes")
	fs.DurationVar(&o.grace, "grace", 5*time.Second, "how long clients have after the signal to end")
	fs.BoolVar(&o.selftest, "selftest", false, "serve clients in another process, check what they are sent and end")
	fs.IntVar(&o.clients, "clients", 2000, "clients of the self-test")
	fs.StringVar(&o.join, "join", "", "be the clients of the self-test at `address`; the self-test runs this by itself")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 || o.most < 1 || o.queue < 1 || o.clients < 1 {
		return kit.Usage(fs, stderr, errors.New("it takes flags only, and -max, -queue and -clients are at least 1"))
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "chat: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	switch {
	case o.join != "":
		err = join(ctx, rt, o.join, o.clients, stdout)
	case o.selftest:
		err = selftest(ctx, rt, o, stdout, stderr)
	default:
		err = serve(ctx, rt, o, stdout, stderr, nil)
	}
	if err := errors.Join(err, kit.Shutdown(rt)); err != nil {
		fmt.Fprintf(stderr, "chat: %v\n", err)
		return kit.ExitFailed
	}
	if o.join == "" {
		kit.Report(stdout, rt)
	}
	return kit.ExitOK
}

// serve serves until ctx ends. It calls ready, unless that is nil, with the
// address it listens on.
func serve(ctx context.Context, rt *proactor.Runtime, o options, stdout, stderr io.Writer, ready func(addr string, h *hub)) error {
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w (-addr chooses another address, 127.0.0.1:0 a free port)", err)
	}
	fmt.Fprintf(stdout, "listening on %v\n", l.Addr())
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())
	h := newHub(o)
	server := kit.Server{Name: "chat", Log: stderr, Max: o.most, Grace: o.grace, Handle: h.handle}
	stop := context.AfterFunc(ctx, h.close)
	defer stop()
	if ready != nil {
		ready(l.Addr().String(), h)
	}
	server.Run(ctx, l)
	fmt.Fprintf(stdout, "connections:    %d, of which %d were too slow and %d were cut off at the end\n",
		server.Accepted(), h.slow.Load(), server.Cut())
	fmt.Fprintf(stdout, "messages:       %d published, %d queued for subscribers, %d dropped\n",
		h.published.Load(), h.queued.Load(), h.dropped.Load())
	return nil
}
