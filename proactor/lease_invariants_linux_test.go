//go:build yamanote_invariants

package proactor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// arrive returns the lease of a message that a new stream receives.
func arrive(t *testing.T, s *proactor.Stream[proactor.Lease], fd int) proactor.Lease {
	t.Helper()
	require.NoError(t, send(fd, []byte("message")))
	l, err := s.Next(limited(t))
	require.NoError(t, err)
	return l
}

func TestInvariants(t *testing.T) {
	rt := open(t, proactor.Config{})
	g := group(t, rt, proactor.BufferConfig{Size: 8, Count: 8, Max: 8})
	a, b := socketpair(t)
	s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)

	l := arrive(t, s, a)
	kept := l.Bytes()
	require.True(t, l.Release())
	require.PanicsWithValue(t, "proactor: use of a lease that was given back", func() { l.Bytes() })
	require.NotEqual(t, "message", string(kept), "what was given back is overwritten")

	kept[3] = 'w' // a use after return, found when the buffer leaves its quarantine
	require.PanicsWithValue(t, "proactor: byte 3 of buffer 0 was written after the buffer was given back", func() {
		for range 20 {
			arrive(t, s, a).Release()
		}
	})
}
