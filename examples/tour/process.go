package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// process is a helper process, seen by the one that has started it.
type process struct {
	what   string
	cmd    *exec.Cmd
	stdin  io.Closer
	out    *json.Encoder
	in     *json.Decoder
	stderr *tail
	trace  *trace // if it runs under strace
}

// start starts a helper; with strace under that. When ctx ends it is killed.
func start(ctx context.Context, role, backend string, traced bool) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{what: who(role, backend), stderr: new(tail)}
	args := []string{self}
	if traced {
		p.what += " under strace"
		p.trace = newTrace(p.stderr)
		args = append([]string{"strace", "-f", "-qq", "-s", "0", "-e", "signal=none", "--"}, args...)
	}
	p.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), strings.Join([]string{roleEnv + "=" + role, backend}, " "))
	p.cmd.Stderr = p.stderr
	if traced {
		p.cmd.Stderr = p.trace
	}
	// What strace has started can outlive it for as long as it takes to read
	// the end of its input.
	p.cmd.WaitDelay = endMax
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		_ = stdin.Close()
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		_, _ = stdin.Close(), stdout.Close()
		return nil, fmt.Errorf("%s: %w", p.what, err)
	}
	p.stdin, p.out, p.in = stdin, json.NewEncoder(stdin), json.NewDecoder(stdout)
	return p, nil
}

// who names a helper.
func who(role, backend string) string { return role + " on " + backend }

// ask has the helper do something and waits for the answer.
func (p *process) ask(q request) (reply, error) {
	var r reply
	err := p.out.Encode(q)
	if err == nil {
		err = p.in.Decode(&r)
	}
	switch {
	case err != nil:
		return r, fmt.Errorf("%s: it has ended: %w%s", p.what, err, p.stderr.quote())
	case r.Err != "":
		return r, &refusal{p.what, r.Err}
	}
	return r, nil
}

// refusal is the answer of a helper that is alive and cannot do what it was
// asked for.
type refusal struct{ who, text string }

func (r *refusal) Error() string { return r.who + ": " + r.text }

// endMax is how long a helper may take to end before it is killed.
const endMax = 3 * time.Second

// stop ends the helper.
func (p *process) stop() error {
	_ = p.stdin.Close()
	kill := time.AfterFunc(endMax, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w%s", p.what, err, p.stderr.quote())
	}
	return nil
}

// stopAll ends several at the same time.
func stopAll(ps []*process) error {
	errs := make([]error, len(ps))
	var wg sync.WaitGroup
	for i, p := range ps {
		wg.Go(func() { errs[i] = p.stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// tail keeps the end of what a helper writes to its standard error.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailMax = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailMax; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(b), nil
}

// quote returns the text to append to an error.
func (t *tail) quote() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return ""
	}
	return "\n" + strings.TrimSpace(string(t.text))
}
