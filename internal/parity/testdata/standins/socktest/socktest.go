// Package socktest stands in for net/internal/socktest of the toolchain. Its
// switch has no effect.
package socktest

// Switch has no effect.
type Switch struct{}

// Set does nothing.
func (*Switch) Set(FilterType, Filter) {}

// Sockets returns nothing.
func (*Switch) Sockets() map[int]Status { return nil }

// Stats returns nothing.
func (*Switch) Stats() []Status { return nil }

// FilterType is a kind of system call.
type FilterType int

// The kinds of system calls.
const (
	FilterSocket FilterType = iota
	FilterConnect
	FilterListen
	FilterAccept
	FilterGetsockoptInt
	FilterClose
)

// Filter is never called.
type Filter func(*Status) (AfterFilter, error)

// AfterFilter is never called.
type AfterFilter func(*Status) error

// Status describes a socket.
type Status struct {
	Cookie    Cookie
	Err       error
	SocketErr error
}

// Cookie tells what kind of socket it is.
type Cookie uint64

// Family returns zero.
func (Cookie) Family() int { return 0 }

// Type returns zero.
func (Cookie) Type() int { return 0 }

// Protocol returns zero.
func (Cookie) Protocol() int { return 0 }
