package proactor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A stream whose operation ended for want of buffers learns that the Runtime has
// ended meanwhile. It once gave buffers to a group that was freed, and panicked.
func TestStreamWithoutBuffersEndsWithTheRuntime(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			rt := open(t, cfg)
			g, err := rt.Shard(0).NewBufferGroup(proactor.BufferConfig{Size: 8, Count: 2, Max: 2})
			require.NoError(t, err)
			a, b := socketpair(t)
			s := stream(t, rt, proactor.Receives{FD: b, Group: g}, 100)
			require.NoError(t, send(a, make([]byte, 8*20)))
			l, err := s.Next(limited(t))
			require.NoError(t, err)
			l.Release()
			testkit.Eventually(t, func() bool { return rt.Stats().InFlight == 0 }, "the buffers suffice")
			require.NoError(t, rt.Close())
			n := 0
			for ; n < 21; n++ {
				if l, err = s.Next(limited(t)); err != nil {
					break
				}
				require.True(t, l.Release())
			}
			require.ErrorIs(t, err, proactor.ErrClosed)
			require.Zero(t, g.Stats().Leased)
		})
	}
}
