package proactor_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// An operation that needs no memory but what it is given costs no allocation,
// with a context that cannot end and, if it does not wait for a peer, with one
// that can.
func TestAllocations(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		_, err := f.WriteString("some bytes")
		require.NoError(t, err)
		fd := int(f.Fd())
		a, b := socketpair(t)
		buf := make([]byte, 4)
		background := context.Background()
		cancellable, cancel := context.WithCancel(t.Context())
		defer cancel()
		for name, do := range map[string]func(ctx context.Context) error{
			"Nop":    discard(rt, proactor.Nop{}),
			"ReadAt": discard(rt, proactor.ReadAt{FD: fd, Buf: buf}),
			"SendAndRecv": func(ctx context.Context) error {
				if err := discard(rt, proactor.Send{FD: a, Buf: buf})(ctx); err != nil {
					return err
				}
				return discard(rt, proactor.Recv{FD: b, Buf: buf})(background)
			},
		} {
			for _, ctx := range []context.Context{background, cancellable} {
				t.Run(name, func(t *testing.T) {
					var failed error
					n := testing.AllocsPerRun(200, func() {
						if err := do(ctx); err != nil {
							failed = err
						}
					})
					require.NoError(t, failed)
					if !raceEnabled { // then a pool forgets on purpose
						require.Zero(t, n)
					}
				})
			}
		}
	})
}

// discard returns a function that does an operation, and its error.
func discard[T any, O proactor.Operation[T]](rt *proactor.Runtime, op O) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := proactor.Do(ctx, rt, op)
		return err
	}
}
