// Command proxy passes TCP connections on to another address. Where much
// arrives, the kernel moves it from one connection to the other (splice), without
// bringing it into the process: all that this takes is io.Copy between two
// connections of this module's net.
//
//	go run ./examples/proxy -to 127.0.0.1:80
//	go run ./examples/proxy -addr 127.0.0.1:7090 -to db.internal:5432 -max 500
//	go run ./examples/proxy -to 127.0.0.1:80 -backend std
//	go run ./examples/proxy -selftest
//
// When one end is done sending, the other is told so and can still answer; when
// one fails, both connections end. SIGINT or SIGTERM ends the proxy: no new
// connections, some seconds for those there are, then statistics.
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
Usage: proxy -to ADDRESS [flags]
       proxy -selftest

A TCP proxy: it passes connections on to another address, in the kernel where
there is a ring. End it with SIGINT or SIGTERM: it stops accepting, waits for
its connections to end, closes the rest and prints statistics.
`

func main() { kit.Main(run) }

// options are what the flags say.
type options struct {
	addr, to    string
	most        int
	grace, dial time.Duration
	selftest    bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("proxy", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, true)
	var o options
	fs.StringVar(&o.addr, "addr", "127.0.0.1:7090", "`address` to listen on; port 0 takes a free one")
	fs.StringVar(&o.to, "to", "", "`address` to pass connections on to")
	fs.IntVar(&o.most, "max", 8192, "most connections at a time; others wait to be accepted")
	fs.DurationVar(&o.grace, "grace", 5*time.Second, "how long connections may go on after the signal to end")
	fs.DurationVar(&o.dial, "dial-timeout", 10*time.Second, "how long connecting to the target may take")
	fs.BoolVar(&o.selftest, "selftest", false, "pass some data through a proxy on this machine, check them and end")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	switch {
	case fs.NArg() > 0 || o.most < 1:
		return kit.Usage(fs, stderr, errors.New("it takes flags only, and -max is at least 1"))
	case o.to == "" && !o.selftest:
		return kit.Usage(fs, stderr, errors.New("-to says where connections go"))
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "proxy: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	if o.selftest {
		err = selftest(ctx, rt, o, stdout, stderr)
	} else {
		err = serve(ctx, rt, o, stdout, stderr)
	}
	if err := errors.Join(err, kit.Shutdown(rt)); err != nil {
		fmt.Fprintf(stderr, "proxy: %v\n", err)
		return kit.ExitFailed
	}
	kit.Report(stdout, rt)
	return kit.ExitOK
}

// serve is a proxy until ctx ends.
func serve(ctx context.Context, rt *proactor.Runtime, o options, stdout, stderr io.Writer) error {
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w (-addr chooses another address, 127.0.0.1:0 a free port)", err)
	}
	fmt.Fprintf(stdout, "listening on %v, passing on to %s\n", l.Addr(), o.to)
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())
	p := newProxy(ctx, rt, o, stderr)
	p.server.Run(ctx, l)
	p.report(stdout)
	return nil
}
