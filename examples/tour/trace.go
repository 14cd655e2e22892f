package main

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// markName begins the name of the file, which does not exist, that a helper
// looks for to leave a mark in its trace.
const markName = "yamanote-tour-mark-"

// trace reads what strace writes, a line for each system call, and counts
// them. Nothing but the count is kept.
type trace struct {
	rest  []byte // a line that is not complete
	other io.Writer
	count int64
	marks chan mark
}

// mark says how many system calls were made before a mark.
type mark struct {
	number int
	count  int64
}

// newTrace returns a trace that passes on what is not a system call.
func newTrace(other io.Writer) *trace {
	return &trace{other: other, marks: make(chan mark, 64)}
}

// Write implements io.Writer.
func (t *trace) Write(b []byte) (int, error) {
	t.rest = append(t.rest, b...)
	for {
		line, rest, ok := bytes.Cut(t.rest, []byte("\n"))
		if !ok {
			break
		}
		t.line(line)
		t.rest = rest
	}
	t.rest = append([]byte(nil), t.rest...) // the lines before it can go
	return len(b), nil
}

// line counts a line if it is the beginning of a system call: its end can be
// on a line of its own, when another thread was in between.
func (t *trace) line(line []byte) {
	call := line
	if bytes.HasPrefix(call, []byte("[pid ")) {
		_, call, _ = bytes.Cut(call, []byte("] "))
	}
	name, args, ok := bytes.Cut(call, []byte("("))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " <:+") {
		if !bytes.HasPrefix(call, []byte("<...")) && !bytes.HasPrefix(call, []byte("+++")) {
			_, _ = t.other.Write(append(bytes.Clone(line), '\n'))
		}
		return
	}
	t.count++
	if _, text, ok := bytes.Cut(args, []byte(markName)); ok {
		var number int
		if _, err := fmt.Sscanf(string(text), "%d", &number); err == nil {
			select {
			case t.marks <- mark{number, t.count}:
			default: // nobody has asked for so many
			}
		}
	}
}

// until waits for a mark and returns the number of system calls before it.
func (t *trace) until(number int) (int64, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case m := <-t.marks:
			if m.number == number {
				return m.count, nil
			}
		case <-late.C:
			return 0, fmt.Errorf("strace shows no mark %d", number)
		}
	}
}
