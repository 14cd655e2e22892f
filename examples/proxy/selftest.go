package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// The self-test: so many clients, each with so many bytes, in so much time.
const (
	testClients = 16
	testBytes   = 4 << 20
	testMax     = 30 * time.Second
)

// selftest runs a target, a proxy before it, and clients. The target answers
// with the hash of what it got once it has got all of it, so that a client has
// its answer only if the proxy passes on the end of one direction and leaves the
// other open.
func selftest(ctx context.Context, rt *proactor.Runtime, o options, stdout, stderr io.Writer) error {
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())
	lc := net.ListenConfig{Runtime: rt}
	back, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	front, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, back.Close())
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	o.to = back.Addr().String()
	target := &kit.Server{Name: "proxy", Log: stderr, Max: testClients, Grace: o.grace, Handle: answerHash}
	p := newProxy(running, rt, o, stderr)
	var servers sync.WaitGroup
	servers.Go(func() { target.Run(running, back) })
	servers.Go(func() { p.server.Run(running, front) })

	started := time.Now()
	errs := make(chan error, testClients)
	for i := range testClients {
		go func() { errs <- askHash(ctx, rt, front.Addr().String(), uint64(i)) }()
	}
	for range testClients {
		err = errors.Join(err, <-errs)
	}
	took := time.Since(started)
	stop()
	servers.Wait()
	if err != nil {
		return err
	}
	p.report(stdout)
	fmt.Fprintf(stdout, "self-test:      %d clients sent %d bytes each, all of which arrived, in %v\n",
		testClients, testBytes, took.Round(time.Millisecond))
	if p.broken.Load()+p.unreached.Load() > 0 || p.up.Load() != testClients*testBytes || p.down.Load() != testClients*sha256.Size {
		return errors.New("the counters are not what the clients have seen")
	}
	return nil
}

// answerHash reads all that comes and then sends its hash.
func answerHash(c net.Conn) {
	h := sha256.New()
	if _, err := io.Copy(h, c); err == nil {
		_, _ = c.Write(h.Sum(nil)) // a client that has gone needs no answer
	}
}

// askHash sends bytes, ends its direction and expects their hash.
func askHash(ctx context.Context, rt *proactor.Runtime, addr string, seed uint64) error {
	d := net.Dialer{Runtime: rt}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(testMax)); err != nil {
		return err
	}
	h := sha256.New()
	source := rand.NewChaCha8([32]byte{byte(seed)})
	if _, err := io.CopyN(io.MultiWriter(c, h), source, testBytes); err != nil {
		return err
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if string(answer) != string(h.Sum(nil)) {
		return fmt.Errorf("the target got something else than client %d sent (%d bytes of answer)", seed, len(answer))
	}
	return nil
}
