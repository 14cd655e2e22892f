//go:build !yamanote_invariants

package proactor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// A lease that was given back shows nothing any more, least of all what has
// arrived in its buffer since.
func TestLeaseGivenBack(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		g := group(t, rt, proactor.BufferConfig{Size: 8, Count: 1, Max: 1})
		a, b := socketpair(t)
		s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 1)
		var old []proactor.Lease
		for range 5 {
			require.NoError(t, send(a, []byte("x")))
			l, err := s.Next(limited(t))
			require.NoError(t, err)
			require.Equal(t, "x", string(l.Bytes()))
			l.Release()
			for _, l := range append(old, l) {
				require.Nil(t, l.Bytes())
				require.False(t, l.Release())
			}
			old = append(old, l)
		}
	})
}
