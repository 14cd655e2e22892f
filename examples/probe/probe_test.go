package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// probe runs the program.
func probe(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	require.Equal(t, kit.ExitOK, run(t.Context(), args, &out, &errs), errs.String())
	require.Empty(t, errs.String())
	return out.String()
}

// TestAnswers compares what is printed with what a ring says.
func TestAnswers(t *testing.T) {
	ring, err := newRing(uring.Params{})
	text := probe(t)
	if err != nil {
		require.True(t, strings.HasPrefix(text, "io_uring for this process: no\n"), text)
		require.Contains(t, text, "because")
		require.Contains(t, text, "run on the standard")
		return
	}
	defer ring.Close()
	require.True(t, strings.HasPrefix(text, "io_uring for this process: yes\n"), text)
	for _, want := range []string{"limits", "operations", "registration", "setup flags", "features", "32768 submission"} {
		require.Contains(t, text, want)
	}
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, len([]rune(line)), lineWidth+1, line)
	}
	ops, probed := ask(ring)
	require.True(t, probed)
	long := probe(t, "-v")
	require.Contains(t, long, text[:strings.Index(text, "operations")])
	for info := range uring.Ops() {
		answer := "no"
		if ops.Has(info.Op) {
			answer = "yes"
		}
		require.Regexp(t, `(?m)^  `+info.Name+` +since Linux `+info.Since.String()+` +`+answer+`$`, long)
	}
	for op := range uring.IORING_REGISTER_LAST {
		require.Contains(t, long, "  "+op.String()+" ")
	}
}

// TestJSON reads the object back and finds in it what a ring says.
func TestJSON(t *testing.T) {
	var r Report
	dec := json.NewDecoder(strings.NewReader(probe(t, "-json")))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r))
	require.False(t, dec.More(), "one object")
	require.Equal(t, runtime.GOOS, r.System.OS)
	require.Equal(t, uring.MaxSQEntries, r.Limits.SubmissionEntries)
	require.NotNil(t, r.ToDo)
	ring, err := newRing(uring.Params{})
	require.Equal(t, err == nil, r.Ring.Allowed)
	if err != nil {
		require.Equal(t, err.Error(), r.Ring.Error)
		return
	}
	defer ring.Close()
	require.NotNil(t, r.Kernel)
	require.Len(t, r.Kernel.Operations, int(uring.IORING_OP_LAST))
	require.Len(t, r.Kernel.Registrations, int(uring.IORING_REGISTER_LAST))
	require.Len(t, r.Kernel.SetupFlags, 21)
	require.Len(t, r.Kernel.EnterFlags, 8)
	require.Len(t, r.Kernel.EntryFlags, 7)
	require.Len(t, r.Kernel.Features, 18)
	for i, f := range r.Kernel.Features {
		require.NotNil(t, f.Has)
		require.Equal(t, features(ring, uring.QueryOpcode{})&(1<<i) != 0, *f.Has, f.Name)
	}
}

func TestUsage(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, kit.ExitOK, run(t.Context(), []string{"-h"}, &out, &errs))
	require.Contains(t, out.String(), "Usage: probe")
	require.Equal(t, kit.ExitUsage, run(t.Context(), []string{"file"}, &out, &errs))
	require.Equal(t, kit.ExitUsage, run(t.Context(), []string{"-nothing"}, &out, &errs))
}

// TestWithoutRing is the report of a machine that forbids rings.
func TestWithoutRing(t *testing.T) {
	two := 2
	r := &Report{
		System:    System{OS: "linux", Arch: "amd64", Kernel: "6.1.0", Go: "go1.26", Processors: 4},
		Forbidden: Rules{Disabled: &two, Seccomp: "filter"},
		Limits:    Limits{OpenFiles: &Limit{1024, 4096}, LockedMemory: &Limit{65536, -1}},
		Ring: explain(&uring.SetupError{
			Errno: syscall.EPERM, Cause: "the sysctl is 2", Remedy: "set it to 0",
		}),
	}
	require.ErrorIs(t, syscall.EPERM, fs.ErrPermission)
	r.ToDo = r.hints()
	var b strings.Builder
	r.print(&b, true)
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"io_uring for this process: no",
		"because the sysctl is 2",
		"remedy set it to 0",
		"kernel.io_uring_disabled is 2 (nobody may); seccomp is filter",
		"1024 open files (at most 4096); 64 KiB of locked memory (at most any amount)",
		"1. set it to 0: the sysctl is 2",
		"2. go on without",
		"3. raise the soft limit of open files up to 4096",
		"4. raise the limit of locked memory",
	} {
		require.Contains(t, text, want)
	}
}

// TestLockedMemoryThatDoesNotBind: nobody is told to raise a limit that does not
// hold for the process.
func TestLockedMemoryThatDoesNotBind(t *testing.T) {
	yes := true
	r := &Report{Limits: Limits{LockedMemory: &Limit{65536, 65536}}, Ring: Ring{Allowed: true}}
	require.Contains(t, fmt.Sprint(r.hints()), "raise the limit of locked memory")
	r.Forbidden.Lock = &yes
	require.NotContains(t, fmt.Sprint(r.hints()), "locked memory")
	require.Contains(t, r.Limits.text(&yes), "does not bind this process")
	require.NotContains(t, r.Limits.text(nil), "does not bind")
}

// TestOldKernel is the report of a kernel that cannot be asked for everything.
func TestOldKernel(t *testing.T) {
	k := &Kernel{
		Operations:    []Item{{"NOP", "5.1", verdict(true, true)}, {"SEND_ZC", "6.0", verdict(true, false)}},
		Registrations: []Item{{"REGISTER_BUFFERS", "5.1", nil}},
		SetupFlags:    []Item{{"IOPOLL", "5.1", verdict(true, true)}, {"DEFER_TASKRUN", "6.1", verdict(true, false)}, {"NO_MMAP", "6.5", nil}},
	}
	r := &Report{Ring: Ring{Allowed: true}, Kernel: k}
	r.ToDo = r.hints()
	var b strings.Builder
	r.print(&b, false)
	for _, want := range []string{
		"1 of 2; not SEND_ZC (Linux 6.0)",
		"not known: the kernel tells since Linux 6.18",
		"1 of 3, 1 not known; not DEFER_TASKRUN (Linux 6.1)",
		"use Linux 6.1 or later",
		"use Linux 6.0 or later",
	} {
		require.Contains(t, b.String(), want)
	}
}

// TestFlagsAreTried: what a kernel without QUERY would be asked.
func TestFlagsAreTried(t *testing.T) {
	ring, err := newRing(uring.Params{})
	if err != nil {
		require.Nil(t, trySetup(0), "nothing is known")
		return
	}
	defer ring.Close()
	query, err := uring.Query()
	if err != nil {
		return // the flags were tried by the other tests
	}
	for bit := range 21 {
		if has := trySetup(bit); has != nil {
			require.Equal(t, query.RingSetupFlags&(1<<bit) != 0, *has, uring.SetupFlags(1)<<bit)
		} else {
			require.NotZero(t, untried&(1<<bit))
		}
	}
}

func TestParseLimit(t *testing.T) {
	const text = "Limit   Soft Limit   Hard Limit   Units\nMax open files   1024   unlimited   files\nMax locked memory  x  1  bytes\n"
	require.Equal(t, &Limit{1024, -1}, parseLimit(text, "Max open files"))
	require.Nil(t, parseLimit(text, "Max locked memory"))
	require.Nil(t, parseLimit(text, "Max stack size"))
	require.Equal(t, "3 MiB", size(3<<20))
	require.Equal(t, "1025 bytes", size(1025))
	require.Equal(t, "0 bytes", size(0))
}
