package driver

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/uring"
)

// The flags that setup asks for in any case, and those it can do without, oldest
// first.
const (
	setupAlways  = uring.IORING_SETUP_CQSIZE | uring.IORING_SETUP_CLAMP | uring.IORING_SETUP_R_DISABLED
	setupAll     = uring.IORING_SETUP_SUBMIT_ALL
	setupTaskRun = uring.IORING_SETUP_COOP_TASKRUN | uring.IORING_SETUP_TASKRUN_FLAG
	setupNoArray = uring.IORING_SETUP_NO_SQARRAY
)

// oldKernel creates rings with the flags it knows, and records what it is asked.
type oldKernel struct {
	knows uring.SetupFlags
	errno syscall.Errno // what it says to others
	asked []uring.SetupFlags
}

func (k *oldKernel) create(entries uint32, p *uring.Params) (*uring.Ring, error) {
	k.asked = append(k.asked, p.Flags)
	if p.Flags&^k.knows != 0 {
		return nil, &uring.SetupError{Entries: entries, Flags: p.Flags, Errno: k.errno}
	}
	return new(uring.Ring), nil
}

// A kernel that does not know a flag gets a ring without it, and without those
// that are newer.
func TestSetupLeavesOutWhatIsNew(t *testing.T) {
	everything := setupAlways | setupAll | setupTaskRun | setupNoArray
	for name, c := range map[string]struct {
		knows   uring.SetupFlags
		without Features
		want    []uring.SetupFlags
	}{
		"new":         {knows: everything, want: []uring.SetupFlags{everything}},
		"before 6.6":  {knows: everything &^ setupNoArray, want: []uring.SetupFlags{everything, everything &^ setupNoArray}},
		"before 5.19": {knows: setupAlways | setupAll, want: []uring.SetupFlags{everything, everything &^ setupNoArray, setupAlways | setupAll}},
		"before 5.18": {knows: setupAlways, want: []uring.SetupFlags{everything, everything &^ setupNoArray, setupAlways | setupAll, setupAlways}},
		"switched off": {knows: everything, without: FeatureTaskRun | FeatureNoSQArray,
			want: []uring.SetupFlags{setupAlways | setupAll}},
	} {
		t.Run(name, func(t *testing.T) {
			k := &oldKernel{knows: c.knows, errno: syscall.EINVAL}
			ring, err := setup(Config{SQEntries: 8, CQEntries: 16, Without: c.without}, k.create)
			require.NoError(t, err)
			require.NotNil(t, ring)
			require.Equal(t, c.want, k.asked)
		})
	}
}

// A refusal that fewer flags do not help against is final, and one of all flags
// ends.
func TestSetupIsRefused(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS, syscall.ENOMEM, syscall.EMFILE} {
		k := &oldKernel{errno: errno}
		_, err := setup(Config{SQEntries: 8, CQEntries: 16}, k.create)
		require.ErrorIs(t, err, errno)
		require.Len(t, k.asked, 1, "%v", errno)
	}
	k := &oldKernel{errno: syscall.EINVAL}
	_, err := setup(Config{SQEntries: 8, CQEntries: 16}, k.create)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.Len(t, k.asked, 4)
}
