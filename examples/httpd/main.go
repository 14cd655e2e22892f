// Command httpd is a web server: net/http, unchanged, on a listener whose
// connections wait in a ring. It serves the files of a directory, and at
// /api/status what it knows of itself as JSON.
//
//	go run ./examples/httpd -root .
//	go run ./examples/httpd -root . -addr 127.0.0.1:7443 -tls
//	go run ./examples/httpd -backend ring -shards 2
//	go run ./examples/httpd -backend std
//	curl http://127.0.0.1:7080/api/status
//	go run ./examples/httpd -debug   # and then look at http://127.0.0.1:7080/debug/yamanote
//
// SIGINT or SIGTERM ends it: requests under way are answered, then it prints
// statistics.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/proactor/debug"
)

const usage = `
Usage: httpd [flags]

A web server, net/http on io_uring where there is a ring. It serves the files
below -root, which links do not lead out of, and /api/status. With -tls it
makes itself a certificate, which no browser will trust: curl needs -k. End it
with SIGINT or SIGTERM: it answers what it has begun and prints statistics.
`

func main() { kit.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("httpd", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, true)
	addr := fs.String("addr", "127.0.0.1:7080", "`address` to listen on; port 0 takes a free one")
	root := fs.String("root", ".", "`directory` to serve")
	secure := fs.Bool("tls", false, "serve https (HTTP/2 too) with a certificate made for this run")
	debugging := fs.Bool("debug", false, "serve what the rings do at /debug/yamanote and, by expvar, at /debug/vars, to whoever can connect")
	grace := fs.Duration("grace", 5*time.Second, "how long requests may go on after the signal to end")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return kit.Usage(fs, stderr, errors.New("it takes flags only; the directory is -root"))
	}
	dir, err := os.OpenRoot(*root)
	if err != nil {
		fmt.Fprintf(stderr, "httpd: -root: %v\n", err)
		return kit.ExitFailed
	}
	defer dir.Close()
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "httpd: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		fmt.Fprintf(stderr, "httpd: %v (-addr chooses another address, 127.0.0.1:0 a free port)\n", err)
		return kit.ExitFailed
	}
	defer l.Close()
	status := newStatus(rt)
	mux := handler(dir, status)
	if *debugging {
		if err := addDebug(mux, rt); err != nil {
			fmt.Fprintf(stderr, "httpd: -debug: %v\n", err)
			return kit.ExitFailed
		}
	}
	srv := newServer(status.count(mux), stderr)
	scheme := "http"
	if *secure {
		scheme = "https"
		if srv.TLSConfig, err = selfSigned(*addr); err != nil {
			fmt.Fprintf(stderr, "httpd: making a certificate: %v\n", err)
			return kit.ExitFailed
		}
	}
	fmt.Fprintf(stdout, "listening on %s://%v/\n", scheme, l.Addr())
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())

	err = errors.Join(serve(ctx, srv, l, *grace), kit.Shutdown(rt))
	fmt.Fprintf(stdout, "requests:       %d\n", status.requests.Load())
	kit.Report(stdout, rt)
	if err != nil {
		fmt.Fprintf(stderr, "httpd: %v\n", err)
		return kit.ExitFailed
	}
	return kit.ExitOK
}

// newServer returns a server that no client can keep busy for ever. A large
// file and a slow client are why writing may take long.
func newServer(h http.Handler, stderr io.Writer) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      10 * time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(stderr, "httpd: ", 0),
	}
}

// handler serves the files of a directory and the status.
func handler(dir *os.Root, status *status) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /api/status", status)
	mux.Handle("GET /", http.FileServerFS(dir.FS()))
	return mux
}

// addDebug adds a page about the rings, and the variables of expvar.
func addDebug(mux *http.ServeMux, rt *proactor.Runtime) error {
	mux.Handle("GET /debug/yamanote", debug.Handler(rt))
	mux.Handle("GET /debug/vars", expvar.Handler())
	return debug.Publish("yamanote", rt)
}

// serve serves until ctx ends, and then what has begun, for as long as grace.
func serve(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	served := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			served <- srv.ServeTLS(l, "", "")
		} else {
			served <- srv.Serve(l)
		}
	}()
	select {
	case err := <-served:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := srv.Shutdown(end)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close() // the time is up, as announced
	}
	<-served
	return err
}

// selfSigned returns a configuration with a certificate for this run.
func selfSigned(addr string) (*tls.Config, error) {
	cert, err := certificate(addr)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}
