package uring

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// asNobody runs f on a thread that may do nothing special, and whose credentials
// die with it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	onceOnThread(func() {
		runtime.LockOSThread() // and never unlocked
		const nobody = 65534
		_, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody)
		assert.Zero(t, errno)
		f()
	})
}

// TestPersonality opens a file with other credentials than those of who submits.
func TestPersonality(t *testing.T) {
	needKernel(t, Version{5, 6}, "PERSONALITY")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	if os.Geteuid() != 0 {
		testkit.Skip(t, "only root can become somebody else")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("text"), 0o600))
	path, err := unix.BytePtrFromString(secret)
	require.NoError(t, err)
	open := func(p Personality) syscall.Errno {
		t.Helper()
		cqe := submit1(t, r, func(s *SQE) {
			require.NoError(t, Openat(s, FD(AtCWD), path, unix.O_RDONLY|unix.O_CLOEXEC, 0, ToFD))
			s.SetPersonality(p)
		})
		if f, err := ToFD.File(cqe); err == nil {
			require.NoError(t, unix.Close(f.Number()))
		}
		return cqe.Errno()
	}

	root, err := r.RegisterPersonality()
	require.NoError(t, err)
	var nobody Personality
	asNobody(t, func() {
		var err error
		nobody, err = r.RegisterPersonality()
		assert.NoError(t, err)
	})
	require.NotEqual(t, root, nobody)
	assert.Zero(t, open(0))
	assert.Zero(t, open(root))
	assert.Equal(t, syscall.EACCES, open(nobody))
	asNobody(t, func() {
		assert.Equal(t, syscall.EACCES, open(0), "the submitter's own")
		assert.Zero(t, open(root), "the rights of somebody else")
	})

	require.NoError(t, r.UnregisterPersonality(nobody))
	assert.Equal(t, syscall.EINVAL, open(nobody))
	assert.Zero(t, open(root))
	for _, gone := range []Personality{nobody, 0, 999} {
		err = r.UnregisterPersonality(gone)
		assert.ErrorIs(t, err, syscall.EINVAL)
	}
	assert.ErrorContains(t, err, "unregistering personality 999")
	require.NoError(t, r.UnregisterPersonality(root))
}

func TestPersonalityOfAnotherThread(t *testing.T) {
	needKernel(t, Version{6, 0}, "SINGLE_ISSUER")
	lockThread(t)
	r := newRing(t, 1, Params{Flags: IORING_SETUP_SINGLE_ISSUER})
	elsewhere(func() {
		_, err := r.RegisterPersonality()
		assert.ErrorIs(t, err, syscall.EEXIST)
		assert.ErrorContains(t, err, "registering the credentials of thread")
	})
}
