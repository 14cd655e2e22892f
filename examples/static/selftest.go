package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// The self-test: so many clients ask so often for a file of so many bytes, in so
// much time.
const (
	testClients  = 16
	testRequests = 8
	testBytes    = 1 << 20
	testMax      = 30 * time.Second
)

// selftest serves files that it makes, and asks for them.
func selftest(ctx context.Context, rt *proactor.Runtime, o options, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "static")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	large, err := makeFiles(dir)
	if err != nil {
		return err
	}
	o.addr, o.root, o.list = "127.0.0.1:0", filepath.Join(dir, "root"), false
	serving, stop := context.WithCancel(ctx)
	defer stop()
	addr, served := make(chan string, 1), make(chan error, 1)
	go func() {
		served <- serve(serving, rt, o, stdout, stderr, func(a string) { addr <- a })
	}()
	select {
	case err := <-served:
		return err
	case a := <-addr:
		d := net.Dialer{Runtime: rt}
		c := &client{url: "http://" + a, large: large, http: http.Client{
			Timeout:       testMax,
			Transport:     &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: testClients},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		took, err := c.all()
		c.http.CloseIdleConnections()
		stop()
		if err := errors.Join(err, <-served); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "self-test:      %d answers of %d bytes, all of them right, in %v\n",
			testClients*testRequests, testBytes, took.Round(time.Millisecond))
		return nil
	}
}

// makeFiles makes a directory to serve, and something beside it.
func makeFiles(dir string) (large []byte, err error) {
	large = make([]byte, testBytes)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(large)
	root := filepath.Join(dir, "root")
	err = errors.Join(os.MkdirAll(filepath.Join(root, "empty"), 0o755), os.MkdirAll(filepath.Join(root, "sub"), 0o755))
	for name, content := range map[string][]byte{
		"secret": []byte("secret"), "root/large.bin": large, "root/sub/index.html": []byte("<p>index"), "root/.hidden": []byte("hidden"),
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	return large, errors.Join(err, os.Symlink("../secret", filepath.Join(root, "link")))
}

// client asks a server.
type client struct {
	url   string
	large []byte
	http  http.Client
}

// all asks for everything, then for the large file many times at once.
func (c *client) all() (time.Duration, error) {
	if err := c.cases(); err != nil {
		return 0, err
	}
	started := time.Now()
	errs := make(chan error, testClients)
	for range testClients {
		go func() {
			var err error
			for i := 0; i < testRequests && err == nil; i++ {
				err = c.ask("GET", "/large.bin", nil, http.StatusOK, c.large)
			}
			errs <- err
		}()
	}
	var err error
	for range testClients {
		err = errors.Join(err, <-errs)
	}
	return time.Since(started), err
}

// cases asks for what a server of files can be asked for.
func (c *client) cases() error {
	resp, err := c.http.Head(c.url + "/large.bin")
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	tag, date := resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	end := len(c.large) - 10
	for _, tt := range []struct {
		method, path, header, value string
		status                      int
		body                        []byte
	}{
		{"GET", "/large.bin", "", "", http.StatusOK, c.large},
		{"HEAD", "/large.bin", "", "", http.StatusOK, nil},
		{"GET", "/large.bin", "Range", "bytes=1000-1099", http.StatusPartialContent, c.large[1000:1100]},
		{"GET", "/large.bin", "Range", "bytes=-10", http.StatusPartialContent, c.large[end:]},
		{"GET", "/large.bin", "Range", "bytes=9999999-", http.StatusRequestedRangeNotSatisfiable, nil},
		{"GET", "/large.bin", "If-None-Match", tag, http.StatusNotModified, nil},
		{"GET", "/large.bin", "If-None-Match", `"another"`, http.StatusOK, c.large},
		{"GET", "/large.bin", "If-Modified-Since", date, http.StatusNotModified, nil},
		{"GET", "/sub", "", "", http.StatusMovedPermanently, nil},
		{"GET", "/sub/", "", "", http.StatusOK, []byte("<p>index")},
		{"GET", "/empty/", "", "", http.StatusNotFound, nil},
		{"GET", "/large.bin/", "", "", http.StatusNotFound, nil},
		{"GET", "/none", "", "", http.StatusNotFound, nil},
		{"GET", "/.hidden", "", "", http.StatusNotFound, nil},
		{"GET", "/%2e%2e/secret", "", "", http.StatusNotFound, nil},
		{"GET", "/link", "", "", http.StatusNotFound, nil},
		{"POST", "/large.bin", "", "", http.StatusMethodNotAllowed, nil},
	} {
		header := http.Header{}
		if tt.header != "" {
			header.Set(tt.header, tt.value)
		}
		if err := c.ask(tt.method, tt.path, header, tt.status, tt.body); err != nil {
			return err
		}
	}
	return nil
}

// ask expects a status and, unless it is nil, a body.
func (c *client) ask(method, path string, header http.Header, status int, body []byte) error {
	req, err := http.NewRequest(method, c.url+path, nil)
	if err != nil {
		return err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != status:
		return fmt.Errorf("%s %s %v: %s instead of %d", method, path, header, resp.Status, status)
	case body != nil && !bytes.Equal(got, body):
		return fmt.Errorf("%s %s %v: not the bytes of the file", method, path, header)
	}
	return nil
}
