package net

import (
	"net"

	"go.uber.org/atomic"
)

// multipath says whether to use Multipath TCP.
type multipath uint8

const (
	multipathDefault multipath = iota // what the standard library does
	multipathOn
	multipathOff
)

// noMultipath says that the kernel does not have Multipath TCP.
var noMultipath atomic.Bool

// multipathUser is a Dialer or a ListenConfig of the standard library.
type multipathUser interface {
	MultipathTCP() bool
	SetMultipathTCP(use bool)
}

func (m *multipath) set(use bool) {
	*m = multipathOff
	if use {
		*m = multipathOn
	}
}

// pass gives a choice to the standard library, if one has been made.
func (m multipath) pass(std multipathUser) {
	if m != multipathDefault {
		std.SetMultipathTCP(m == multipathOn)
	}
}

// get returns the choice. std has the defaults, which GODEBUG can change.
func (m multipath) get(std multipathUser) bool {
	m.pass(std)
	return std.MultipathTCP()
}

// MultipathTCP reports whether dials of TCP networks use Multipath TCP if the
// operating system has it. The default is the standard library's: no, unless
// GODEBUG says multipathtcp=1 or 2.
func (d *Dialer) MultipathTCP() bool { return d.multipath.get(new(net.Dialer)) }

// SetMultipathTCP says whether dials use Multipath TCP, whatever the default is.
// Where it cannot be used, for whatever reason, dials use plain TCP.
func (d *Dialer) SetMultipathTCP(use bool) { d.multipath.set(use) }

// MultipathTCP reports whether TCP listeners use Multipath TCP if the operating
// system has it. The default is the standard library's: yes, unless GODEBUG says
// multipathtcp=0 or 3, or the connections are to send without copying; see
// ZeroCopy. Connections from peers that do not ask for it are plain TCP at no
// extra cost.
func (lc *ListenConfig) MultipathTCP() bool { return lc.protocol().get(new(net.ListenConfig)) }

// protocol returns the choice for listeners.
func (lc *ListenConfig) protocol() multipath {
	// The default runtime need not be started for this: it has no ZeroCopy.
	copies := lc.ZeroCopy < 0 || lc.ZeroCopy == 0 && (lc.Runtime == nil || lc.Runtime.ZeroCopy() == 0)
	if lc.multipath == multipathDefault && !copies {
		return multipathOff
	}
	return lc.multipath
}

// SetMultipathTCP says whether listeners use Multipath TCP, whatever the default
// is. Where it cannot be used, for whatever reason, they use plain TCP.
func (lc *ListenConfig) SetMultipathTCP(use bool) { lc.multipath.set(use) }
