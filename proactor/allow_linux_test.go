package proactor_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// What a ring is not set up for is refused in the same way by all that submit,
// and the error says what to do.
func TestLeastPrivilege(t *testing.T) {
	rt := open(t, proactor.Config{})
	stat := proactor.Stat{Path: "."}
	_, do := proactor.Do(t.Context(), rt, stat)
	_, submit := proactor.Submit(t.Context(), rt, stat)
	_, all := proactor.DoAll(t.Context(), rt, stat, stat)
	_, batch := proactor.SubmitAll(t.Context(), rt, stat, stat)
	for _, err := range []error{do, submit, all, batch} {
		requireErrno(t, err, "statx", syscall.EACCES)
		require.ErrorIs(t, err, os.ErrPermission)
		require.ErrorContains(t, err, "add uring.IORING_OP_STATX to Config.Extra")
	}
	require.Zero(t, rt.Stats().Submitted)

	// The kernel would refuse it as well.
	d, err := driver.Open(driver.Config{Allow: []uring.Op{uring.IORING_OP_READ}})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	op, w := &driver.Op{}, driver.NewWaiter()
	op.Sink = w
	op.SQE.PrepTee(0, 0, 0, 0)
	require.NoError(t, d.Submit(t.Context(), op))
	require.ErrorIs(t, (<-w.Done()).Err(), syscall.EACCES)

	one := open(t, proactor.Config{Extra: []uring.Op{uring.IORING_OP_STATX}})
	_, err = proactor.Do(t.Context(), one, stat)
	require.NoError(t, err)
	_, err = proactor.Do(t.Context(), one, proactor.Tee{})
	require.ErrorIs(t, err, syscall.EACCES)

	// Without restrictions there is nothing to refuse.
	free := open(t, proactor.Config{Without: driver.FeatureRestrictions})
	_, err = proactor.Do(t.Context(), free, stat)
	require.NoError(t, err)
}

// lateOp is an operation that came after the kernels of today.
type lateOp struct{ proactor.Nop }

func (lateOp) Prepare(r *proactor.Request) error {
	r.SQE = uring.SQE{Opcode: 200}
	return nil
}

func TestUnsupported(t *testing.T) {
	rt := open(t, proactor.Config{Extra: proactor.AllOps()})
	_, err := proactor.Do(t.Context(), rt, lateOp{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	known := rt.Backend().Ring.Supported
	require.Contains(t, known, uring.IORING_OP_READ)
	for info := range uring.Ops() {
		if len(known) > 0 && info.Op > known[len(known)-1] {
			_, err := proactor.Do(t.Context(), rt, opcodeOp{op: info.Op})
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, "came with Linux "+info.Since.String())
		}
	}
}

// opcodeOp is any operation, without arguments.
type opcodeOp struct {
	proactor.Nop
	op uring.Op
}

func (o opcodeOp) Prepare(r *proactor.Request) error {
	r.SQE = uring.SQE{Opcode: o.op}
	return nil
}
