package proactor

import "go.uber.org/atomic"

// zeroCopyTrials is what a Runtime has learned of sends without copying on its
// connections. It is shared by those of all kinds, of which some may go to where
// it works and others not, so a verdict is never final.
type zeroCopyTrials struct {
	vain    atomic.Int64  // connections in a row on which it has brought nothing
	skipped atomic.Uint64 // connections that were not to try
}

const (
	vainLimit  = 8  // from then on, connections are not to try,
	trialEvery = 64 // except for one in so many
)

// TryZeroCopy reports whether a new connection of package net should try to send
// without copying.
func (s *Shard) TryZeroCopy() bool {
	t := &s.rt.zeroCopy
	return t.vain.Load() < vainLimit || t.skipped.Inc()%trialEvery == 0
}

// NoteZeroCopy notes whether sending without copying brought something on a
// connection of package net.
func (s *Shard) NoteZeroCopy(worked bool) {
	t := &s.rt.zeroCopy
	switch {
	case !worked:
		t.vain.Inc()
	case t.vain.Load() != 0: // else all who send would write to one cache line
		t.vain.Store(0)
	}
}
