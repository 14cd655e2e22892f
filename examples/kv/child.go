package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// child is a server in a process of its own, which can be killed.
type child struct {
	cmd  *exec.Cmd
	addr string
	rest chan struct{} // closed when its output has ended
}

// childEnv tells the tests' program that it is to be this one.
const childEnv = "YAMANOTE_KV_CHILD"

// startChild starts this program as a server and waits until it listens.
func startChild(stderr io.Writer, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, append([]string{"-addr", "127.0.0.1:0"}, args...)...), rest: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the server has ended before it listened: %w", c.cmd.Wait())
		}
		if addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on "); ok {
			c.addr = addr
			break
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		close(c.rest)
	}()
	return c, nil
}

// kill ends the process as a crash does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.wait()
}

// stop ends it by a signal, as an operator does.
func (c *child) stop() error {
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		c.kill() // where there are no signals
		return nil
	}
	return c.wait()
}

func (c *child) wait() error {
	<-c.rest
	return c.cmd.Wait()
}
