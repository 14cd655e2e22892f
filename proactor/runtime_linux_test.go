package proactor_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// denied reports whether this run is one in which rings are forbidden.
func denied() bool { return os.Getenv("YAMANOTE_EXPECT_BACKEND") == "std" }

func TestDefault(t *testing.T) {
	rt := proactor.Default()
	require.Same(t, rt, proactor.Default())
	require.Equal(t, !denied(), rt.HasRing(), "%v", rt.Backend())
	require.NoError(t, proactor.ShutdownDefault(t.Context()))
	again := proactor.Default()
	require.NotSame(t, rt, again)
	if !denied() {
		_, err := proactor.Do(t.Context(), again, proactor.Nop{})
		require.NoError(t, err)
		_, err = proactor.Do(t.Context(), rt, proactor.Nop{})
		require.ErrorIs(t, err, proactor.ErrClosed)
	}
	require.NoError(t, again.Close())
	require.NotSame(t, again, proactor.Default(), "one that was closed is not handed out")
	require.NoError(t, proactor.ShutdownDefault(t.Context()))
}

func TestStd(t *testing.T) {
	rt, err := proactor.New(proactor.Config{Mode: proactor.ModeStd})
	require.NoError(t, err)
	b := rt.Backend()
	require.Equal(t, proactor.KindStd, b.Kind)
	require.ErrorIs(t, b.Reason, proactor.ErrNoRing)
	require.True(t, strings.HasPrefix(b.String(), "std ("), b.String())
	_, err = proactor.Do(t.Context(), rt, proactor.Nop{})
	require.ErrorIs(t, err, proactor.ErrNoRing)
	require.Zero(t, rt.Stats())
	require.NoError(t, rt.Close())
}

func TestEnvironment(t *testing.T) {
	t.Run("std", func(t *testing.T) {
		t.Setenv("YAMANOTE_BACKEND", "std")
		rt, err := proactor.New(proactor.Config{})
		require.NoError(t, err)
		require.False(t, rt.HasRing())
		_, err = proactor.New(proactor.Config{Mode: proactor.ModeRing})
		require.ErrorIs(t, err, proactor.ErrNoRing)
		require.ErrorContains(t, err, "YAMANOTE_BACKEND")
	})
	t.Run("nonsense", func(t *testing.T) {
		for name, value := range map[string]string{
			"YAMANOTE_BACKEND":      "carrier pigeon",
			"YAMANOTE_DISABLE":      "taskrun,doubts",
			"YAMANOTE_WRITE_BEHIND": "perhaps",
		} {
			t.Run(name, func(t *testing.T) {
				t.Setenv(name, value)
				_, err := proactor.New(proactor.Config{})
				require.ErrorContains(t, err, name)
				rt := proactor.Default() // does not fail, and says why it is as it is
				require.False(t, rt.HasRing())
				require.ErrorContains(t, rt.Backend().Reason, name)
				require.NoError(t, proactor.ShutdownDefault(t.Context()))
			})
		}
	})
	t.Run("write-behind", func(t *testing.T) {
		require.False(t, open(t, proactor.Config{}).WriteBehind())
		t.Setenv("YAMANOTE_WRITE_BEHIND", "0")
		require.True(t, open(t, proactor.Config{WriteBehind: true}).WriteBehind())
		require.False(t, open(t, proactor.Config{}).WriteBehind())
		t.Setenv("YAMANOTE_WRITE_BEHIND", "1")
		require.True(t, open(t, proactor.Config{}).WriteBehind())
	})
	t.Run("ring", func(t *testing.T) {
		open(t, proactor.Config{}) // skips where there is none
		t.Setenv("YAMANOTE_BACKEND", "ring")
		t.Setenv("YAMANOTE_DISABLE", "taskrun, nosqarray,restrictions")
		rt := open(t, proactor.Config{})
		b := rt.Backend()
		require.NotContains(t, b.Ring.Flags.String(), "TASKRUN")
		require.NotContains(t, b.Ring.Flags.String(), "NO_SQARRAY")
		require.False(t, b.Ring.Restricted)
		_, err := proactor.Do(t.Context(), rt, proactor.Nop{})
		require.NoError(t, err)
	})
}

func TestConfig(t *testing.T) {
	for _, cfg := range []proactor.Config{
		{Shards: -1},
		{Shards: 1 << 20},
		{DirectFiles: -1},
		{Arenas: 1 << 20},
		{SQEntries: 8, CQEntries: 4},
		{MaxInFlight: -1},
	} {
		for _, cfg.Mode = range []proactor.Mode{proactor.ModeAuto, proactor.ModeRing, proactor.ModeStd} {
			_, err := proactor.New(cfg)
			require.Error(t, err, "%+v", cfg)
			require.NotErrorIs(t, err, proactor.ErrNoRing)
		}
	}
	rt := open(t, proactor.Config{Shards: 3})
	b := rt.Backend()
	require.Equal(t, 3, b.Shards)
	require.Equal(t, proactor.KindRing, b.Kind)
	require.True(t, b.Ring.Restricted)
	require.NoError(t, b.Reason)
	require.Contains(t, b.String(), "3 shard")
	seen := map[any]bool{}
	for range 6 {
		seen[rt.Pick()] = true
	}
	require.Len(t, seen, 3)
}

// More slots for files than the process may have open is an error of the caller's,
// and no reason to do without a ring.
func TestConfigBeyondALimit(t *testing.T) {
	open(t, proactor.Config{}) // or else skip
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = 200
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)) }()
	_, err := proactor.New(proactor.Config{Shards: 2, DirectFiles: 201})
	require.ErrorIs(t, err, syscall.EMFILE)
	require.ErrorContains(t, err, "Config.DirectFiles")
	require.NotErrorIs(t, err, proactor.ErrNoRing)
	rt, err := proactor.New(proactor.Config{DirectFiles: 200})
	require.NoError(t, err)
	require.NoError(t, rt.Close())
}

func TestStats(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 10 {
			_, err := proactor.Do(t.Context(), rt, proactor.Nop{})
			require.NoError(t, err)
		}
		testkit.Eventually(t, func() bool {
			s := rt.Stats()
			return s.Submitted == 10 && s.Finished == 10 && s.InFlight == 0
		}, "the operations are not counted")
		before := rt.Stats()
		require.Positive(t, before.Enters)
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, before.SystemCalls(), rt.Stats().SystemCalls(), "idle, it makes no system calls")
	})
}

// TestDenied runs itself in a process that may not have a ring.
func TestDenied(t *testing.T) {
	if os.Getenv("YAMANOTE_TEST_DENIED") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDenied$", "-test.v")
		cmd.Env = append(os.Environ(), "YAMANOTE_TEST_DENIED=1", "YAMANOTE_BACKEND=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "seccomp", "the default runtime says why, once")
		return
	}
	require.NoError(t, sys.DenyRing())
	_, err := proactor.New(proactor.Config{Mode: proactor.ModeRing})
	require.ErrorIs(t, err, proactor.ErrNoRing)
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "seccomp")
	rt, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	require.False(t, rt.HasRing())
	require.ErrorContains(t, rt.Backend().Reason, "seccomp")
	require.False(t, proactor.Default().HasRing())
	require.NoError(t, proactor.ShutdownDefault(context.Background()))
}
