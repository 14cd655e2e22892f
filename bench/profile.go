//go:build linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Profile is where the processor time of a subject goes.
type Profile struct {
	Samples int
	Shares  map[string]float64 // of the time, for each part of parts
	Symbols []Symbol           // the most frequent
}

// Symbol is a function that was found on the processor.
type Symbol struct {
	Name  string
	Share float64
}

// The parts into which a profile is divided.
const (
	partNetwork = "kernel: network stack"
	partRing    = "kernel: io_uring, task work"
	partEpoll   = "kernel: epoll"
	partSched   = "kernel: futex, scheduler"
	partStorage = "kernel: files, block layer"
	partEntry   = "system call entry and exit"
	partCopies  = "copies"
	partKernel  = "kernel: other"
	partGoSched = "Go: scheduler"
	partGoHeap  = "Go: memory"
	partUser    = "user code"
)

// parts is the order in which they are shown.
var parts = []string{partNetwork, partCopies, partStorage, partRing, partEpoll, partSched, partEntry, partKernel,
	partGoSched, partGoHeap, partUser}

// copying are the functions that copy, in the kernel and in Go. They count
// where they are on the processor, not what they are called for.
var copying = regexp.MustCompile(`^(_?copy_(to|from)_|_?copy_user|copy_page|rep_movs|rep_stos|__?memcpy|memcpy|__?memmove|` +
	`memmove|_copy_(to|from)_iter|__skb_datagram_iter|simple_copy_to_iter|skb_copy_datagram_iter|runtime\.memmove)`)

// rule says to which part a function belongs, and what it calls unless that
// belongs to another.
type rule struct {
	part  string
	names *regexp.Regexp
}

var kernelRules = []rule{
	{partSched, regexp.MustCompile(`^(__|__x64_sys_|do_|_|io_)?(futex|schedule|sched_|try_to_wake_up|ttwu|pick_next|pick_task|put_prev|` +
		`finish_task_switch|enqueue_(task|entity)|dequeue_(task|entit)|update_(curr|load|rq)|wake_up_q|wake_up_process|` +
		`select_task_rq|select_idle|resched|switch_mm|switch_fpu|prepare_task_switch|context_switch|place_entity|` +
		`nanosleep|hrtimer_nanosleep|reweight|set_next_|check_preempt|wakeup_preempt|newidle|load_balance|rebalance)`)},
	{partRing, regexp.MustCompile(`^(__)?(io_|iou_|io_uring|x64_sys_io_uring|do_sys_io_uring|tctx_task_work|task_work)`)},
	{partEpoll, regexp.MustCompile(`^(__)?(ep_|epoll|do_epoll|x64_sys_epoll|reverse_path)`)},
	{partNetwork, regexp.MustCompile(`^(__)?(sys_(send|recv)|x64_sys_(send|recv)|sock|tcp_|ip_|ip_local|ipv4_|inet|skb|alloc_skb|napi_|` +
		`dev_|net_|netif_|process_backlog|loopback_|nf_|sk_|release_sock|lock_sock|eth_|validate_xmit|qdisc|` +
		`kfree_skb|consume_skb|security_sock|bbr_|cubictcp|bictcp|local_bh_enable|move_addr|datagram|` +
		`netdev_|rtt_|minmax_running|ktime_get_.*tcp|page_frag|skb_page_frag)`)},
	{partStorage, regexp.MustCompile(`^(__)?(blk_|blkdev_|bio_|bdev|submit_bio|ext4_|xfs_|iomap|filemap_|generic_file|generic_perform|` +
		`virtblk|virtqueue|vring|vp_|vfs_|x64_sys_p?(read|write)|ksys_p?(read|write)|do_sys_p?(read|write)|do_(iter_)?readv|page_cache|folio|mpage|` +
		`dio_|elv_|dd_|nvme|scsi|sbitmap|touch_atime|atime|jbd2|rw_verify|do_preadv|do_readv|x64_sys_preadv)`)},
	{partEntry, regexp.MustCompile(`^(entry_SYSCALL|do_syscall|syscall_|x64_sys_call|__x64_sys_|__do_sys_|exit_to_user|` +
		`fdget|__fget|fput|__fdget|sockfd_lookup|arch_exit_work|clear_bhb|its_return|srso_)`)},
}

var userRules = []rule{
	{partEntry, regexp.MustCompile(`^(internal/runtime/syscall|runtime/internal/syscall|syscall\.(Raw)?Syscall|__GI___(libc_)?(send|recv|epoll)|` +
		`io_uring_enter|__sys_io_uring|_*syscall)`)},
	{partGoHeap, regexp.MustCompile(`^runtime\.(mallocgc|malloc|gc|\(\*gc|scan|sweep|mark|grey|new(object|array)|growslice|makeslice|` +
		`memclr|heap|\(\*m(cache|central|heap|span)|\(\*sweep|wb|bgsweep|typedmemmove|bulkBarrier|nextFree)`)},
	{partGoSched, regexp.MustCompile(`^(runtime\.|internal/runtime/(atomic|sys)|runtime/internal)`)},
}

// classify says to which part a call stack belongs, the innermost function
// first. What runs below the innermost function with a part of its own belongs
// to that: the allocation of a packet to the network stack.
func classify(stack []frame) string {
	if len(stack) == 0 {
		return partUser
	}
	for _, f := range stack[:min(2, len(stack))] {
		if f.kernel == stack[0].kernel && copying.MatchString(f.name) {
			return partCopies
		}
	}
	if stack[0].kernel {
		for _, f := range stack {
			if !f.kernel {
				break
			}
			if p := match(kernelRules, f.name); p != "" {
				return p
			}
		}
		return partKernel
	}
	if p := match(userRules, stack[0].name); p != "" {
		return p
	}
	return partUser
}

func match(rules []rule, name string) string {
	for _, r := range rules {
		if r.names.MatchString(name) {
			return r.part
		}
	}
	return ""
}

// frame is a function of a call stack.
type frame struct {
	name   string
	kernel bool
}

// parsePerf divides what perf script writes of the processes that are wanted.
func parsePerf(in io.Reader, wanted func(comm string, pid int) bool) (Profile, error) {
	p := Profile{Shares: make(map[string]float64)}
	symbols := make(map[string]int)
	var stack []frame
	take := false
	finish := func() {
		if take {
			p.Samples++
			p.Shares[classify(stack)]++
			if len(stack) > 0 {
				symbols[stack[0].name]++
			}
		}
		stack, take = stack[:0], false
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, mib)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			finish()
		case line[0] != ' ' && line[0] != '\t':
			finish()
			comm, pid, err := sampleHead(line)
			if err != nil {
				return p, err
			}
			take = wanted(comm, pid)
		default:
			fields := strings.Fields(line)
			if len(fields) < 3 {
				continue
			}
			stack = append(stack, frame{fields[1], strings.HasPrefix(fields[len(fields)-1], "([kernel")})
		}
	}
	finish()
	for name, n := range symbols {
		p.Symbols = append(p.Symbols, Symbol{name, float64(n) / float64(p.Samples)})
	}
	slices.SortFunc(p.Symbols, func(a, b Symbol) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), strings.Compare(a.Name, b.Name))
	})
	p.Symbols = p.Symbols[:min(len(p.Symbols), 20)]
	for part := range p.Shares {
		p.Shares[part] /= float64(p.Samples)
	}
	return p, lines.Err()
}

// sampleHead reads the first line of a sample, "name pid/tid". The name may
// contain spaces.
func sampleHead(line string) (comm string, pid int, err error) {
	line = strings.TrimSpace(line)
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return "", 0, fmt.Errorf("perf script: %q", line)
	}
	if _, err := fmt.Sscanf(line[at+1:], "%d/", &pid); err != nil {
		return "", 0, fmt.Errorf("perf script: %q", line)
	}
	return strings.TrimSpace(line[:at]), pid, nil
}

// profileTime is how long a profile is taken.
const profileTime = 1500 * time.Millisecond

// profileAll takes a profile of each subject, in an extra round.
func (r *runner) profileAll(ctx context.Context, c cell, entrants []*entrant, report *CellReport) {
	if _, err := exec.LookPath("perf"); err != nil {
		report.ProfileError = err.Error()
		return
	}
	p := r.pace
	p.measure = profileTime
	for _, e := range entrants {
		if !e.ready() || c.Kind == kindIdle {
			continue
		}
		r.progress.show(c.Name, "profile of "+e.subject.Name)
		profile, err := e.profile(ctx, r.lab, c, p, report.Rate)
		if err != nil {
			report.ProfileError = fmt.Sprintf("%s: %v", e.subject.Name, err)
			continue
		}
		e.report.Profile = profile
	}
}

// profile takes a profile of one subject: of a server while it is measured, of
// a process that makes its own load from its start to its end.
func (e *entrant) profile(ctx context.Context, l *lab, c cell, p pace, rate float64) (Profile, error) {
	rec := &recorder{path: l.path("perf.data")}
	defer os.Remove(rec.path)
	wanted := func(_ string, pid int) bool { return pid == e.session.pid() }
	if s, ok := e.session.(*server); ok {
		_, err := s.load(ctx, c, s.spec(c, p, rate), func() error { return rec.start(ctx) }, rec.stop)
		if err != nil {
			return Profile{}, errors.Join(err, rec.stop())
		}
		return rec.read(ctx, wanted)
	}
	if err := rec.start(ctx); err != nil {
		return Profile{}, err
	}
	_, err := e.session.run(ctx, c, p, rate)
	if err := errors.Join(err, rec.stop()); err != nil {
		return Profile{}, err
	}
	switch s := e.session.(type) {
	case *worker:
		wanted = func(_ string, pid int) bool { return pid == s.last }
	case *fioEngine:
		wanted = func(comm string, _ int) bool { return comm == "fio" }
	}
	return rec.read(ctx, wanted)
}

// recorder is perf at work, on all processors.
type recorder struct {
	path  string
	cmd   *exec.Cmd
	pipes []*os.File
}

// start begins to sample, by the processor's clock, which virtual machines have
// too. It returns when perf says that it does.
func (r *recorder) start(ctx context.Context) error {
	control, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	answers, answer, err := os.Pipe()
	if err != nil {
		return errors.Join(err, control.Close(), tell.Close())
	}
	r.pipes = []*os.File{tell, answers} // open as long as perf: it looks at them all the time
	cmd := exec.CommandContext(ctx, "perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", "2999", "-g",
		"-D", "-1", "--control=fd:3,4", "-o", r.path)
	cmd.ExtraFiles = []*os.File{control, answer}
	err = cmd.Start()
	if err := errors.Join(err, control.Close(), answer.Close()); err != nil {
		return errors.Join(err, r.stop())
	}
	r.cmd = cmd
	if _, err := tell.WriteString("enable\n"); err != nil {
		return errors.Join(err, r.stop())
	}
	if err := answers.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return errors.Join(err, r.stop())
	}
	if line, err := bufio.NewReader(answers).ReadString('\n'); err != nil || strings.Trim(line, "\x00\n") != "ack" {
		return errors.Join(fmt.Errorf("perf record has not started to sample (it says %q)", line), r.stop())
	}
	return nil
}

func (r *recorder) stop() error {
	defer func() {
		for _, f := range r.pipes {
			_ = f.Close()
		}
		r.pipes = nil
	}()
	if r.cmd == nil {
		return nil
	}
	cmd := r.cmd
	r.cmd = nil
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	_ = cmd.Wait() // says that it was interrupted
	return nil
}

func (r *recorder) read(ctx context.Context, wanted func(comm string, pid int) bool) (Profile, error) {
	cmd := exec.CommandContext(ctx, "perf", "script", "-i", r.path, "-F", "comm,pid,tid,ip,sym,dso")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Profile{}, err
	}
	complaints := new(head)
	cmd.Stderr = complaints
	if err := cmd.Start(); err != nil {
		return Profile{}, err
	}
	p, err := parsePerf(out, wanted)
	_, _ = io.Copy(io.Discard, out)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return p, fmt.Errorf("perf script: %w (%v)", err, complaints)
	}
	if p.Samples == 0 {
		return p, errors.New("perf has not seen the process")
	}
	return p, nil
}

// writeProfile writes where the microseconds of an operation go. The shares of
// the profile are applied to the time that was measured without perf.
func (c *CellReport) writeProfile(out io.Writer) {
	if c.ProfileError != "" {
		fmt.Fprintf(out, "  profile: %s\n", c.ProfileError)
	}
	rows := c.profileRows()
	if rows == nil {
		return
	}
	fmt.Fprintln(out, "\n  where the microseconds of an operation go")
	table(out, rows)
}

// profileRows is that table; nil if no subject has a profile.
func (c *CellReport) profileRows() [][]string {
	head := []string{""}
	var subjects []*SubjectReport
	seen := make(map[string]bool)
	for _, s := range c.Subjects {
		if s.Profile.Samples == 0 {
			continue
		}
		subjects = append(subjects, s)
		head = append(head, s.Name)
		for part := range maps.Keys(s.Profile.Shares) {
			seen[part] = true
		}
	}
	if subjects == nil {
		return nil
	}
	rows := [][]string{head}
	for _, part := range parts {
		if !seen[part] {
			continue
		}
		row := []string{part}
		for _, s := range subjects {
			row = append(row, fmt.Sprintf("%.2f", s.profiled(part)))
		}
		rows = append(rows, row)
	}
	total := []string{"all"}
	for _, s := range subjects {
		total = append(total, fmt.Sprintf("%.2f", s.median(func(a Sample) float64 { return a.CPU })))
	}
	return append(rows, total)
}

// profiled returns the microseconds of an operation that go to a part.
func (s *SubjectReport) profiled(part string) float64 {
	return s.Profile.Shares[part] * s.median(func(a Sample) float64 { return a.CPU })
}
