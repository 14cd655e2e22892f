//go:build linux

package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const perfText = `bench 10/11 
	ffffffff81b9aa79 __list_del_entry_valid_or_report ([kernel.kallsyms])
	ffffffff81e69595 net_rx_action ([kernel.kallsyms])
	ffffffff81e314b0 __x64_sys_sendto ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	            966e internal/runtime/syscall/linux.Syscall6 (/tmp/x)
	           88541 runtime.goexit.abi0 (/tmp/x)

other name 12/12 
	           139e2 main.main (/tmp/y)

bench 10/10 
	           4fe37 runtime.ready (/tmp/x)
	           88541 main.main (/tmp/x)

bench 10/13 
	ffffffff81000000 _copy_to_iter ([kernel.kallsyms])
	ffffffff81000001 tcp_recvmsg ([kernel.kallsyms])

bench 10/13 
	           1 [unknown] (/tmp/x)
`

func TestParsePerf(t *testing.T) {
	p, err := parsePerf(strings.NewReader(perfText), func(_ string, pid int) bool { return pid == 10 })
	require.NoError(t, err)
	require.Equal(t, 4, p.Samples)
	require.Equal(t, map[string]float64{partNetwork: .25, partGoSched: .25, partCopies: .25, partUser: .25}, p.Shares)
	require.Len(t, p.Symbols, 4)
	p, err = parsePerf(strings.NewReader(perfText), func(comm string, _ int) bool { return comm == "other name" })
	require.NoError(t, err)
	require.Equal(t, 1, p.Samples)
	_, err = parsePerf(strings.NewReader("nonsense\n"), func(string, int) bool { return true })
	require.Error(t, err)
}

// The innermost function that is known decides.
func TestClassify(t *testing.T) {
	for stack, want := range map[string]string{
		"k:_raw_spin_unlock_irqrestore k:try_to_wake_up k:ep_poll_callback k:tcp_rcv_established": partSched,
		"k:_raw_spin_lock k:ep_poll_callback k:sock_def_readable":                                 partEpoll,
		"k:kmem_cache_alloc k:__alloc_skb k:tcp_sendmsg k:__sys_sendto":                           partNetwork,
		"k:io_recv k:io_issue_sqe k:__do_sys_io_uring_enter":                                      partRing,
		"k:tcp_recvmsg k:io_recv k:task_work_run":                                                 partNetwork,
		"k:iowrite16 k:vp_notify k:virtqueue_notify k:blk_mq_submit_bio k:io_read":                partStorage,
		"k:futex_wait k:do_futex k:do_syscall_64 u:runtime.futex":                                 partSched,
		"k:do_syscall_64 k:entry_SYSCALL_64_after_hwframe u:runtime.futex":                        partEntry,
		"k:tick_nohz_handler k:hrtimer_interrupt":                                                 partKernel,
		"u:runtime.memmove u:runtime.mallocgc":                                                    partCopies,
		"u:runtime.mallocgc u:main.main":                                                          partGoHeap,
		"u:runtime.chansend u:main.main":                                                          partGoSched,
		"u:internal/runtime/syscall/linux.Syscall6 u:main.main":                                   partEntry,
		"u:main.echo":                          partUser,
		"u:main.echo k:tcp_never_from_user":    partUser,
		"u:internal/poll.(*FD).Read u:net.one": partUser,
		"":                                     partUser,
	} {
		var frames []frame
		for f := range strings.FieldsSeq(stack) {
			frames = append(frames, frame{f[2:], f[0] == 'k'})
		}
		require.Equal(t, want, classify(frames), stack)
	}
}

func TestProfileTable(t *testing.T) {
	s := with("std", 1e6, 1e6, 1e6) // a microsecond for each
	s.Profile = Profile{Samples: 4, Shares: map[string]float64{partNetwork: 0.75, partUser: 0.25}}
	c := &CellReport{Subjects: []*SubjectReport{s, with("other", 1)}}
	require.Equal(t, [][]string{{"", "std"}, {partNetwork, "0.75"}, {partUser, "0.25"}, {"all", "1.00"}}, c.profileRows())
	require.Nil(t, (&CellReport{Subjects: []*SubjectReport{with("other", 1)}}).profileRows())
}

// A profile of a server finds the process and its parts.
func TestProfile(t *testing.T) {
	if _, err := exec.LookPath("perf"); err != nil {
		t.Skip("there is no perf")
	}
	if err := exec.Command("perf", "record", "-q", "-a", "-e", "cpu-clock", "-o", "/dev/null", "true").Run(); err != nil {
		t.Skip("perf may not sample here:", err)
	}
	s := stdSubject(t, "auto")
	c := cell{Kind: kindEcho, Conns: 8, Size: 64}
	sess, err := s.open(context.Background(), c, tiny)
	require.NoError(t, err)
	defer sess.close()
	e := &entrant{subject: &s, report: &SubjectReport{}, session: sess}
	p, err := e.profile(t.Context(), newLab(t, "auto"), c, pace{warm: tiny.warm, measure: 5 * tiny.measure, threads: 1}, 0)
	require.NoError(t, err)
	require.Greater(t, p.Samples, 10)
	require.Positive(t, p.Shares[partNetwork])
	require.NotEmpty(t, p.Symbols)
}
