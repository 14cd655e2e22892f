// Command static serves the files of a directory: net/http on this module's
// net, with files of this module's file, which the kernel moves to the
// connection (sendfile). Conditional requests and ranges are net/http's, by
// ServeContent.
//
//	go run ./examples/static -root /srv/www
//	go run ./examples/static -root . -list -max-age 1h
//	go run ./examples/static -root . -backend std
//	go run ./examples/static -selftest
//	curl -r 0-99 http://127.0.0.1:7081/README.md
//
// Directories are not listed unless -list asks for it; index.html is served for
// a directory that has it. Nothing outside the directory is served, whatever
// links say, and no name that begins with a dot. SIGINT or SIGTERM ends it:
// requests under way are answered, then it prints statistics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

const usage = `
Usage: static [flags]

A static file server on io_uring where there is a ring. It serves the files
below -root, which neither ".." nor links lead out of. End it with SIGINT or
SIGTERM: it answers what it has begun and prints statistics.
`

func main() { kit.Main(run) }

// options are what the flags say.
type options struct {
	addr, root    string
	list          bool
	maxAge, grace time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("static", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, true)
	var o options
	fs.StringVar(&o.addr, "addr", "127.0.0.1:7081", "`address` to listen on; port 0 takes a free one")
	fs.StringVar(&o.root, "root", ".", "`directory` to serve")
	fs.BoolVar(&o.list, "list", false, "list directories that have no index.html")
	fs.DurationVar(&o.maxAge, "max-age", 0, "how long clients may keep a file without asking again")
	fs.DurationVar(&o.grace, "grace", 5*time.Second, "how long requests may go on after the signal to end")
	selftesting := fs.Bool("selftest", false, "serve files made for it to clients of its own, check the answers and end")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 || o.maxAge < 0 {
		return kit.Usage(fs, stderr, errors.New("it takes flags only (the directory is -root), and -max-age is not negative"))
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "static: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	if *selftesting {
		err = selftest(ctx, rt, o, stdout, stderr)
	} else {
		err = serve(ctx, rt, o, stdout, stderr, nil)
	}
	if err := errors.Join(err, kit.Shutdown(rt)); err != nil {
		fmt.Fprintf(stderr, "static: %v\n", err)
		return kit.ExitFailed
	}
	kit.Report(stdout, rt)
	return kit.ExitOK
}

// serve serves until ctx ends, and then what has begun. It calls ready, unless
// that is nil, with the address it listens on.
func serve(ctx context.Context, rt *proactor.Runtime, o options, stdout, stderr io.Writer, ready func(addr string)) error {
	s, err := newSite(rt, o)
	if err != nil {
		return fmt.Errorf("-root: %w", err)
	}
	defer s.Close()
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w (-addr chooses another address, 127.0.0.1:0 a free port)", err)
	}
	fmt.Fprintf(stdout, "listening on http://%v/\n", l.Addr())
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())
	// No client can keep the server busy for ever. A large file and a slow
	// client are why writing may take long.
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      10 * time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(stderr, "static: ", 0),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	if ready != nil {
		ready(l.Addr().String())
	}
	select {
	case err := <-served:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), o.grace)
	defer cancel()
	if err = server.Shutdown(end); errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // the time is up, as announced
	}
	<-served
	fmt.Fprintf(stdout, "requests:       %d, of which %d were for a file\n", s.requests.Load(), s.files.Load())
	return err
}
