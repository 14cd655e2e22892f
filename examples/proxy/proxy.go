package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// proxy passes connections on. Its counters are written by the goroutines of
// all connections and read by whoever reports.
type proxy struct {
	ctx    context.Context
	to     string
	dialer net.Dialer
	server kit.Server
	log    io.Writer

	unreached atomic.Int64 // connections for which the target was not there
	broken    atomic.Int64 // connections that an error ended
	up, down  atomic.Int64 // bytes to the target and from it
}

func newProxy(ctx context.Context, rt *proactor.Runtime, o options, log io.Writer) *proxy {
	p := &proxy{ctx: ctx, to: o.to, log: log, dialer: net.Dialer{Runtime: rt, Timeout: o.dial}}
	p.server = kit.Server{Name: "proxy", Log: log, Max: o.most, Grace: o.grace, Handle: p.handle}
	return p
}

// handle serves one client. Dialling ends with the proxy's context; what has
// begun does not.
func (p *proxy) handle(client net.Conn) {
	target, err := p.dialer.DialContext(p.ctx, "tcp", p.to)
	if err != nil {
		p.unreached.Inc()
		if p.ctx.Err() == nil {
			fmt.Fprintf(p.log, "proxy: %v\n", err)
		}
		return
	}
	defer target.Close()
	var both sync.WaitGroup
	var failed atomic.Bool
	for _, way := range []struct {
		from, to net.Conn
		bytes    *atomic.Int64
	}{{client, target, &p.up}, {target, client, &p.down}} {
		both.Go(func() {
			n, err := pass(way.to, way.from)
			way.bytes.Add(n)
			if err != nil {
				// What is left of the other direction can not be trusted to
				// mean anything. Closing both ends it.
				failed.Store(true)
				abort(client)
				abort(target)
			}
		})
	}
	both.Wait()
	if failed.Load() {
		p.broken.Inc()
	}
}

// pass copies one direction to its end and tells the receiver of the end.
func pass(to, from net.Conn) (int64, error) {
	n, err := io.Copy(to, from) // by the kernel, if it is much
	if err != nil {
		return n, err
	}
	return n, to.(interface{ CloseWrite() error }).CloseWrite()
}

// abort closes a connection so that its peer gets a reset and does not take
// what it has for all there is.
func abort(c net.Conn) {
	if c, ok := c.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = c.Close()
}

func (p *proxy) report(w io.Writer) {
	fmt.Fprintf(w, "connections:    %d, of which %d failed to reach the target, %d broke and %d were cut off at the end\n",
		p.server.Accepted(), p.unreached.Load(), p.broken.Load(), p.server.Cut())
	fmt.Fprintf(w, "passed on:      %d bytes to the target, %d bytes from it\n", p.up.Load(), p.down.Load())
}
