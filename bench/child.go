//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is a process of the bench's: its standard input tells it when to end,
// its standard output is read line by line.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
	log   *head // its standard error
	stop  func() bool

	once  sync.Once // around waiting
	ended error
}

// anyCPU is where a child runs that is not pinned.
const anyCPU = -1

// startChild starts a process, on one CPU only if cpu is not anyCPU, and kills
// it when ctx ends.
func startChild(ctx context.Context, cpu int, env []string, argv ...string) (*child, error) {
	c := &child{cmd: exec.Command(argv[0], argv[1:]...), log: new(head)}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = c.log
	// A Ctrl-C is ours to handle.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	c.lines = bufio.NewScanner(stdout)
	c.lines.Buffer(nil, 16*mib)
	if err := onCPU(cpu, c.cmd.Start); err != nil {
		return nil, err
	}
	c.stop = context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	return c, nil
}

// onCPU calls f on a thread that may run on one CPU only. What f starts
// inherits that.
func onCPU(cpu int, f func() error) error {
	if cpu == anyCPU {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	return errors.Join(f(), os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &before)))
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// read reads a line of JSON.
func (c *child) read(v any) error {
	if !c.lines.Scan() {
		err := c.lines.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		_ = c.end() // it has said all that it has to say
		return c.explain(err)
	}
	return json.Unmarshal(c.lines.Bytes(), v)
}

// ask sends an empty line and reads the answer.
func (c *child) ask(v any) error {
	if _, err := c.stdin.Write([]byte("\n")); err != nil {
		return c.explain(err)
	}
	return c.read(v)
}

// explain adds what the child has said on standard error.
func (c *child) explain(err error) error {
	if text := c.log.String(); text != "" {
		return fmt.Errorf("%w (%s)", err, text)
	}
	return err
}

// end has the child end, by force if it does not do so by itself.
func (c *child) end() error {
	c.once.Do(func() {
		_ = c.stdin.Close()
		timer := time.AfterFunc(2*time.Second, func() { _ = c.cmd.Process.Kill() })
		defer timer.Stop()
		c.ended = c.cmd.Wait()
		c.stop()
	})
	return c.ended
}

// head keeps the beginning of what is written to it: a crash says at first
// what it is about.
type head struct {
	mu  sync.Mutex
	buf []byte
}

const headSize = 200

func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = append(h.buf, b[:min(len(b), headSize-len(h.buf))]...)
	return len(b), nil
}

// String returns it in one line.
func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(strings.Fields(string(bytes.ToValidUTF8(h.buf, nil))), " ")
}
