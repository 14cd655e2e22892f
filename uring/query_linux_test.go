package uring

import (
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestProbeAgreesWithTheTable asks for every operation whose release is not
// newer than the running kernel.
func TestProbeAgreesWithTheTable(t *testing.T) {
	testkit.NeedKernel(t, 5, 6, "PROBE")
	r := newRing(t, 1, Params{})
	kernel := running(t)
	set, err := r.Probe()
	require.NoError(t, err)
	known := 0
	for info := range Ops() {
		if kernel.AtLeast(info.Since) {
			assert.True(t, set.Has(info.Op), "%s since %v", info.Name, info.Since)
		}
		if set.Has(info.Op) {
			known++
		}
	}
	require.LessOrEqual(t, known, set.Len())
	require.NotZero(t, known)
	require.False(t, set.Has(255))
}

// TestQueryAgrees with the probe, with the ring's features and with the
// releases in the tables.
func TestQueryAgrees(t *testing.T) {
	testkit.NeedKernel(t, 6, 18, "QUERY")
	r := newRing(t, 1, Params{})
	kernel := running(t)
	q, err := Query()
	require.NoError(t, err)
	set, err := r.Probe()
	require.NoError(t, err)
	for op := range 256 {
		if set.Has(Op(op)) {
			assert.Less(t, uint32(op), q.NrRequestOpcodes)
		}
	}
	assert.LessOrEqual(t, set.Len(), int(q.NrRequestOpcodes))
	for op := range IORING_REGISTER_LAST {
		if since, _ := op.Since(); kernel.AtLeast(since) {
			assert.Less(t, uint32(op), q.NrRegisterOpcodes, "%v since %v", op, since)
		}
	}
	assert.Equal(t, Features(q.FeatureFlags), r.Features())
	assert.NotZero(t, q.RingSetupFlags&uint64(IORING_SETUP_CQE_MIXED))
	assert.NotZero(t, q.EnterFlags&uint64(IORING_ENTER_NO_IOWAIT))
	assert.Equal(t, uint64(0x7f), q.SqeFlags&0x7f)
	assert.NotZero(t, q.NrQueryOpcodes)
}

func TestQueryOnAnOldKernel(t *testing.T) {
	needRing(t)
	if _, err := Query(); err != nil {
		require.ErrorIs(t, err, syscall.EINVAL)
		require.False(t, running(t).AtLeast(Version{6, 18}), "it has QUERY")
	}
}

// TestQueryWhereStacksGrow: the kernel wrote its answer to a number that had
// been the address of a place on the stack before the stack moved.
func TestQueryWhereStacksGrow(t *testing.T) {
	testkit.NeedKernel(t, 6, 18, "QUERY")
	needRing(t)
	want, err := Query()
	require.NoError(t, err)
	var wg sync.WaitGroup
	for depth := range 400 {
		wg.Go(func() {
			atDepth(depth, func() {
				if got, err := Query(); err != nil || got != want {
					t.Errorf("depth %d: %+v, %v", depth, got, err)
				}
			})
		})
	}
	wg.Wait()
}

// atDepth calls f with n frames of 16 bytes and more below it.
//
//go:noinline
func atDepth(n int, f func()) int {
	if n == 0 {
		f()
		return 0
	}
	return atDepth(n-1, f) + n
}

func TestOpSet(t *testing.T) {
	var s OpSet
	require.Zero(t, s.Len())
	for _, op := range []Op{0, 63, 64, 200, 255, 0} {
		s.add(op)
		require.True(t, s.Has(op))
	}
	require.Equal(t, 5, s.Len())
	require.False(t, s.Has(1))
	require.False(t, s.Has(65))
}

// TestProbeLeavesOutWhatIsNotMarked: a kernel may list operations that it was
// built without.
func TestProbeLeavesOutWhatIsNotMarked(t *testing.T) {
	p := &Probe{ProbeHeader: ProbeHeader{OpsLen: 3}}
	for i := range p.Ops {
		p.Ops[i] = ProbeOp{Op: Op(i), Flags: IO_URING_OP_SUPPORTED}
	}
	p.Ops[1].Flags = 0
	set := p.supported()
	require.True(t, set.Has(0))
	require.False(t, set.Has(1))
	require.True(t, set.Has(2))
	require.False(t, set.Has(3), "behind the end")
	require.Equal(t, 2, set.Len())
}
