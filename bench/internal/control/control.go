// Package control is how the bench talks to a server process of its own: a
// line on standard output says where it listens, requests and answers are
// lines on standard input and output, and the end of standard input ends the
// process, so that no server outlives the bench.
package control

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
)

// Hello is the first line a server prints.
type Hello struct {
	Addr    string `json:"addr"`
	Backend string `json:"backend"`
}

// Stats is the answer to a line on standard input.
type Stats struct {
	// SystemCalls is how many system calls the runtime counts of its own; -1
	// if it counts none.
	SystemCalls int64 `json:"system_calls"`

	// Detail is the runtime's counters.
	Detail any `json:"detail,omitempty"`
}

// Serve prints hello and answers requests until standard input ends; then it
// ends the process.
func Serve(hello Hello, stats func() Stats) {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(hello); err != nil {
		Fatal(err)
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := out.Encode(stats()); err != nil {
			break
		}
	}
	os.Exit(0)
}

// Fatal prints an error and ends the process.
func Fatal(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

// Modes of a server.
const (
	Echo   = "echo"   // sends back what it receives
	Sink   = "sink"   // receives until the end, then sends the count as 8 bytes
	Source = "source" // receives a count as 8 bytes, sends that many and closes
	Once   = "once"   // sends back as many bytes as its buffer has room for, and closes
	UDP    = "udp"    // sends datagrams back
	HTTP   = "http"   // greets
	HTTPS  = "https"  // greets over TLS
)

// Chunk is the unit in which streams are sent.
const Chunk = 64 << 10

// Pattern returns the bytes that a source sends, over and over: the same as in
// the C servers.
func Pattern() []byte {
	p := make([]byte, Chunk)
	x := uint32(12345)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// Handler returns what serves one connection in a mode, with buffers of the
// given size for echoes.
func Handler(mode string, bufSize int) (func(io.ReadWriter), error) {
	switch mode {
	case Echo:
		return func(c io.ReadWriter) { echo(c, bufSize) }, nil
	case Sink:
		return sink, nil
	case Once:
		return func(c io.ReadWriter) { once(c, bufSize) }, nil
	case Source:
		pattern := Pattern()
		return func(c io.ReadWriter) { source(c, pattern) }, nil
	}
	return nil, fmt.Errorf("no mode %q", mode)
}

func echo(c io.ReadWriter, bufSize int) {
	buf := make([]byte, bufSize)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// once takes as long for a request as its Reads do, and answers each part.
func once(c io.ReadWriter, size int) {
	buf := make([]byte, size)
	for got := 0; got < size; {
		n, err := c.Read(buf[got:])
		if err != nil {
			return
		}
		if _, err := c.Write(buf[got : got+n]); err != nil {
			return
		}
		got += n
	}
}

func sink(c io.ReadWriter) {
	buf := make([]byte, Chunk)
	var count uint64
	for {
		n, err := c.Read(buf)
		count += uint64(n)
		if err == nil {
			continue
		}
		if err == io.EOF {
			_, _ = c.Write(binary.LittleEndian.AppendUint64(nil, count))
		}
		return
	}
}

func source(c io.ReadWriter, pattern []byte) {
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return
	}
	for left := binary.LittleEndian.Uint64(head[:]); left > 0; {
		n, err := c.Write(pattern[:min(left, Chunk)])
		if err != nil {
			return
		}
		left -= uint64(n)
	}
}

// FreeAddr returns an address on the loopback that was free a moment ago, for
// libraries that do not say which port the kernel has chosen.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
