package proactor

// LeaseTaker takes leases as the arrival of a message does.
type LeaseTaker struct{ g *BufferGroup }

// TakeLeases returns a LeaseTaker for a group that no stream uses.
func TakeLeases(g *BufferGroup) LeaseTaker { return LeaseTaker{g} }

// Take returns a lease of n bytes. It must be given back before the next.
func (t LeaseTaker) Take(n int) Lease { return t.g.take(0, n) }
