package main

import (
	"context"
	"fmt"
	stdnet "net"

	"github.com/cloudwego/netpoll"
	"github.com/panjf2000/gnet/v2"
)

// gnetEcho is an echo server on gnet: callbacks on event loops.
type gnetEcho struct {
	gnet.BuiltinEventEngine
	addr string
}

func (g *gnetEcho) OnBoot(gnet.Engine) gnet.Action {
	_ = say(ready{Addr: g.addr, Backend: "gnet"})
	return gnet.None
}

func (g *gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	b, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err := c.Write(b); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// silence keeps gnet's log off standard output, where the parent reads.
type silence struct{}

func (silence) Debugf(string, ...any) {}
func (silence) Infof(string, ...any)  {}
func (silence) Warnf(string, ...any)  {}
func (silence) Errorf(string, ...any) {}
func (silence) Fatalf(string, ...any) {}

func serveGnet(o order) error {
	if o.Mode != echo && o.Mode != idle {
		return fmt.Errorf("gnet has no %s server here", o.Mode)
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- gnet.Run(&gnetEcho{addr: addr}, "tcp://"+addr, gnet.WithMulticore(true), gnet.WithLogger(silence{}))
	}()
	go func() {
		untilEnd(func() int64 { return -1 })
		ended <- nil
	}()
	return <-ended
}

// serveNetpoll is an echo server on netpoll: a goroutine for each request.
func serveNetpoll(o order) error {
	if o.Mode != echo && o.Mode != idle {
		return fmt.Errorf("netpoll has no %s server here", o.Mode)
	}
	l, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(func(_ context.Context, c netpoll.Connection) error {
		n := c.Reader().Len()
		b, err := c.Reader().Next(n)
		if err != nil {
			return err
		}
		if _, err := c.Writer().WriteBinary(b); err != nil {
			return err
		}
		if err := c.Writer().Flush(); err != nil {
			return err
		}
		return c.Reader().Release()
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- loop.Serve(l) }()
	if err := say(ready{Addr: l.Addr().String(), Backend: "netpoll"}); err != nil {
		return err
	}
	go func() {
		untilEnd(func() int64 { return -1 })
		ended <- nil
	}()
	return <-ended
}

// freeAddr returns a loopback address that was free a moment ago.
func freeAddr() (string, error) {
	l, err := stdnet.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
