package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// childEnv, when set, makes the program the child process of that role; its
// first argument is the order as JSON.
const childEnv = "YAMANOTE_BENCH_CHILD"

// order says what a child is to do. Each role reads its part of it.
type order struct {
	CPU int `json:"cpu"` // to run on, -1 for all

	// servers
	Subject string `json:"subject,omitempty"`
	Mode    kind   `json:"mode,omitempty"`

	// load, files and overhead
	Addr       string  `json:"addr,omitempty"`
	Conns      int     `json:"conns,omitempty"`
	Size       int     `json:"size,omitempty"`
	Rate       int     `json:"rate,omitempty"`
	Seconds    float64 `json:"seconds,omitempty"`
	Path       string  `json:"path,omitempty"`
	Direct     bool    `json:"direct,omitempty"`
	Goroutines int     `json:"goroutines,omitempty"`
}

// ready is the first line that a server prints.
type ready struct {
	Addr    string `json:"addr"`
	Backend string `json:"backend,omitempty"`
}

// result is what a child that measures prints.
type result struct {
	Units   float64 `json:"units"` // in the unit of the cell
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50,omitempty"` // µs
	P99     float64 `json:"p99,omitempty"`
	P999    float64 `json:"p999,omitempty"`

	// of the child itself, where that is what is measured
	CPU      float64 `json:"cpu,omitempty"` // seconds
	Switches int64   `json:"switches,omitempty"`
	Threads  int     `json:"threads,omitempty"`
	RSS      float64 `json:"rss,omitempty"`
	Syscalls int64   `json:"syscalls,omitempty"` // -1 if not known
}

var roles = map[string]func(order) error{
	"server":   runServer,
	"load":     runLoad,
	"files":    runFiles,
	"overhead": runOverhead,
}

// runChild is main for child processes.
func runChild(role string) error {
	var o order
	if len(os.Args) < 2 {
		return errors.New("a child needs an order")
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &o); err != nil {
		return err
	}
	run := roles[role]
	if run == nil {
		return fmt.Errorf("no role %q", role)
	}
	if o.CPU >= 0 {
		if err := pinTo(o.CPU); err != nil {
			return fmt.Errorf("pinning to processor %d: %w", o.CPU, err)
		}
		runtime.GOMAXPROCS(1)
	}
	return run(o)
}

func say(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// child is a child process as its parent sees it.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startSelf starts this program in a role.
func startSelf(role string, o order) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arg, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, string(arg))
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	return start(cmd)
}

// start starts a process that ends when its standard input does, or is killed.
func start(cmd *exec.Cmd) (*child, error) {
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	c.out.Buffer(nil, 1<<20)
	return c, nil
}

// read reads the child's next line, which is JSON, within a time.
func (c *child) read(v any, within time.Duration) error {
	late := time.AfterFunc(within, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	if !c.out.Scan() {
		return fmt.Errorf("process %d ended or was too slow: %w", c.cmd.Process.Pid, errors.Join(c.out.Err(), c.cmd.Wait()))
	}
	if err := json.Unmarshal(c.out.Bytes(), v); err != nil {
		return fmt.Errorf("process %d said %q: %w", c.cmd.Process.Pid, c.out.Text(), err)
	}
	return nil
}

// stop ends the child.
func (c *child) stop() {
	_ = c.in.Close()
	late := time.AfterFunc(2*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	_ = c.cmd.Wait()
}

// untilEnd returns when standard input ends. On each line before it answers
// with the system calls made so far.
func untilEnd(calls func() int64) {
	s := bufio.NewScanner(os.Stdin)
	for s.Scan() {
		if err := say(calls()); err != nil {
			return
		}
	}
}
