//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"net"

	"github.com/yamanote-go/yamanote/bench/internal/control"
	ynet "github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// runtimeFlags are what our own runtime is started with in a child process.
type runtimeFlags struct {
	std      bool
	dshulyak bool // for files
	shards   int
	behind   bool // write behind
	batch    bool // many datagrams with one call
	group    bool // one Sync for all appends that wait
}

func (f *runtimeFlags) register(fs *flag.FlagSet) {
	fs.BoolVar(&f.std, "std", false, "the standard library")
	fs.BoolVar(&f.dshulyak, "dshulyak", false, "github.com/dshulyak/uring")
	fs.IntVar(&f.shards, "shards", 0, "number of rings; 0 for the default")
	fs.BoolVar(&f.behind, "behind", false, "write behind")
	fs.BoolVar(&f.group, "group", false, "one Sync for all appends that wait")
	fs.BoolVar(&f.batch, "batch", false, "many datagrams with one call")
}

// args is the command line that register understands.
func (f *runtimeFlags) args() []string {
	if f.std {
		return []string{"-std", fmt.Sprintf("-batch=%t", f.batch), fmt.Sprintf("-group=%t", f.group)}
	}
	return []string{fmt.Sprintf("-shards=%d", f.shards), fmt.Sprintf("-behind=%t", f.behind), fmt.Sprintf("-batch=%t", f.batch)}
}

// open starts the runtime; nil for the standard library.
func (f *runtimeFlags) open() (*proactor.Runtime, error) {
	if f.std || f.dshulyak {
		return nil, nil
	}
	return proactor.New(proactor.Config{Mode: proactor.ModeRing, Shards: f.shards, WriteBehind: f.behind})
}

// describe is what the runtime stands on, in a line.
func describe(rt *proactor.Runtime) string {
	if rt == nil {
		return "Go's netpoller and os"
	}
	return rt.Backend().String()
}

func runtimeStats(rt *proactor.Runtime) control.Stats {
	if rt == nil {
		return control.Stats{SystemCalls: -1}
	}
	s := rt.Stats()
	return control.Stats{SystemCalls: int64(s.SystemCalls()), Detail: s}
}

// serveMain is the server process of the standard library and of our runtime.
func serveMain(args []string) error {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	var rf runtimeFlags
	rf.register(fs)
	mode := fs.String("mode", control.Echo, "echo, sink, source, once, udp, http or https")
	bufSize := fs.Int("buf", 4096, "size of a connection's buffer")
	if err := fs.Parse(args); err != nil {
		return err
	}
	rt, err := rf.open()
	if err != nil {
		return err
	}
	switch *mode {
	case control.UDP:
		return serveUDP(rt, *bufSize, rf.batch)
	case control.HTTP, control.HTTPS:
		return serveHTTP(rt, *mode == control.HTTPS)
	}
	return serveStreams(rt, *mode, *bufSize)
}

// serveStreams serves each connection by a goroutine.
func serveStreams(rt *proactor.Runtime, mode string, bufSize int) error {
	handle, err := control.Handler(mode, bufSize)
	if err != nil {
		return err
	}
	l, err := listen(rt)
	if err != nil {
		return err
	}
	go announce(rt, l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			handle(c)
		}()
	}
}

// announce says where the server listens, answers questions and ends the
// process with the bench.
func announce(rt *proactor.Runtime, addr net.Addr) {
	control.Serve(control.Hello{Addr: addr.String(), Backend: describe(rt)},
		func() control.Stats { return runtimeStats(rt) })
}

func listen(rt *proactor.Runtime) (net.Listener, error) {
	if rt == nil {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	lc := ynet.ListenConfig{Runtime: rt}
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}
