package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is one connection to a server, for one goroutine. It is on the
// standard library, so that nothing of the server tests itself.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
}

func dial(addr string) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReader(c), bufio.NewWriter(c)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// send sends a request; receive gets its answer.
func (c *client) send(args ...string) {
	fmt.Fprintf(c.out, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
}

// serverError is an error that the server has answered with.
type serverError string

func (e serverError) Error() string { return "the server says: " + string(e) }

// none is the answer for a key that has no value.
const none = "(none)"

// receive returns an answer: a text, a number in digits, or none.
func (c *client) receive() (string, error) {
	if err := c.out.Flush(); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", errors.New("an empty answer")
	}
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '-':
		return "", serverError(line[1:])
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < -1 || n > maxValue {
			return "", fmt.Errorf("an answer of length %q", line[1:])
		}
		if n < 0 {
			return none, nil
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(c.in, b)
		return string(b[:n]), err
	}
	return "", fmt.Errorf("an answer that makes no sense: %.40q", line)
}

// ask sends a request and returns the answer.
func (c *client) ask(args ...string) (string, error) {
	c.send(args...)
	return c.receive()
}
