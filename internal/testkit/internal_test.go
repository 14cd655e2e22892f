package testkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPollGivesUp(t *testing.T) {
	start := time.Now()
	require.False(t, poll(func() bool { return false }, 20*time.Millisecond))
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
	require.True(t, poll(func() bool { return true }, 0), "one look is always taken")
}

func TestParseStacks(t *testing.T) {
	dump := `goroutine 1 [running]:
main.main()
	/src/main.go:5 +0x1d

goroutine 41 [chan receive, 3 minutes, locked to thread]:
example.com/x.(*T).wait(0xc0000160c0)
	/src/x.go:9 +0x1d
example.com/x.(*T).loop(0xc0000160c0, {0x1, 0x2})
	/src/x.go:19 +0x1d
created by example.com/x.New in goroutine 1
	/src/x.go:3 +0x4f

goroutine 7 gp=0xc000 m=nil [syscall]:
os/signal.signal_recv()
	/go/sigqueue.go:152 +0x29
os/signal.loop()
	/go/signal_unix.go:23 +0x13
runtime.goexit({})
	/go/asm.s:1700 +0x1
created by os/signal.Notify.func1.1 in goroutine 1
	/go/signal.go:152 +0x1f

goroutine 8 [sync.Cond.Wait]:
runtime.runFinalizers()
	/go/mfinal.go:200 +0x1
created by runtime.createfing in goroutine 1
	/go/mfinal.go:172 +0x1
`
	all := parseStacks(dump)
	var ids []uint64
	var roots []string
	var harmless []bool
	for _, s := range all {
		ids = append(ids, s.id)
		roots = append(roots, s.root)
		harmless = append(harmless, s.harmless())
	}
	require.Equal(t, []uint64{1, 41, 7, 8}, ids)
	require.Equal(t, []string{"main.main", "example.com/x.(*T).loop", "os/signal.loop", "runtime.runFinalizers"}, roots)
	require.Equal(t, []bool{false, false, true, true}, harmless)
}

func TestParseRelease(t *testing.T) {
	for release, want := range map[string][2]int{
		"6.18.44-generic": {6, 18},
		"7.0":             {7, 0},
		"5.4.0-1029-aws":  {5, 4},
		"6.1-rc3":         {6, 1},
	} {
		major, minor, err := parseRelease(release)
		require.NoError(t, err, release)
		require.Equal(t, want, [2]int{major, minor}, release)
	}
	_, _, err := parseRelease("plan nine")
	require.Error(t, err)
}

func TestNewFds(t *testing.T) {
	before := map[int]string{0: "/dev/null", 3: "socket:[1]", 4: "pipe:[2]"}
	now := map[int]string{0: "/dev/null", 3: "socket:[9]", 7: "anon_inode:[io_uring]"}
	require.Equal(t, []string{"fd 3 -> socket:[9]", "fd 7 -> anon_inode:[io_uring]"}, newFds(before, now))
	require.Empty(t, newFds(before, before))
}
