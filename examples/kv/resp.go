package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The limits of a request.
const (
	maxArgs = 1024
	maxLine = 64 << 10
	maxArg  = maxValue
	// maxRequest bounds what a connection holds of a request that is not
	// complete yet.
	maxRequest = 16 << 20
)

// errPartial says that a request is not complete yet.
var errPartial = errors.New("more is to come")

// parse takes a request off the beginning of b and returns its arguments, which
// are parts of b, and its size. Requests are what Redis takes: an array of
// strings with their lengths, or a line of words.
func parse(b []byte) (args [][]byte, size int, err error) {
	line, n, err := parseLine(b)
	if err != nil {
		return nil, 0, err
	}
	if len(line) == 0 || line[0] != '*' {
		return bytes.Fields(line), n, nil
	}
	count, err := parseLength(line, maxArgs)
	if err != nil {
		return nil, 0, err
	}
	size = n
	for range count {
		line, n, err := parseLine(b[size:])
		if err != nil {
			return nil, 0, err
		}
		if len(line) == 0 || line[0] != '$' {
			return nil, 0, fmt.Errorf("protocol error: %.20q where the length of a string, as $5, should be", line)
		}
		length, err := parseLength(line, maxArg)
		if err != nil {
			return nil, 0, err
		}
		size += n
		if size+length > maxRequest {
			return nil, 0, fmt.Errorf("protocol error: a request is longer than %d bytes", maxRequest)
		}
		if len(b)-size < length+2 {
			return nil, 0, errPartial
		}
		if b[size+length] != '\r' || b[size+length+1] != '\n' {
			return nil, 0, errors.New("protocol error: a string does not end where it should")
		}
		args = append(args, b[size:size+length])
		size += length + 2
	}
	return args, size, nil
}

// parseLine takes a line off the beginning of b, and returns it without its end.
func parseLine(b []byte) (line []byte, size int, err error) {
	i := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	switch {
	case i >= 0:
		return bytes.TrimSuffix(b[:i], []byte{'\r'}), i + 1, nil
	case len(b) >= maxLine:
		return nil, 0, fmt.Errorf("protocol error: a line is longer than %d bytes", maxLine)
	}
	return nil, 0, errPartial
}

// parseLength returns the number behind the first byte of a line.
func parseLength(line []byte, most int) (int, error) {
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("protocol error: %.20q is no length from 0 to %d", line[1:], most)
	}
	return n, nil
}

// The answers. What a bufio.Writer cannot write, its Flush reports.

func replyOK(w *bufio.Writer) { _, _ = w.WriteString("+OK\r\n") }

func replyError(w *bufio.Writer, err error) {
	text := bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, []byte(err.Error()))
	_, _ = fmt.Fprintf(w, "-ERR %s\r\n", text)
}

func replyInt(w *bufio.Writer, n int) { _, _ = fmt.Fprintf(w, ":%d\r\n", n) }

func replyNone(w *bufio.Writer) { _, _ = w.WriteString("$-1\r\n") }

func replyBytes(w *bufio.Writer, b []byte) {
	_, _ = fmt.Fprintf(w, "$%d\r\n", len(b))
	_, _ = w.Write(b)
	_, _ = w.WriteString("\r\n")
}
