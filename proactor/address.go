package proactor

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// Address is the address of a socket: an IP address with a port, or the name of
// a Unix socket. The zero Address is that of a Unix socket without a name, or
// of nobody.
type Address struct {
	// IP is valid for Internet sockets. It has to be of the socket's family: an
	// IPv6 socket takes an IPv4 address as ::ffff:192.0.2.1.
	IP netip.AddrPort

	// Unix is a path, or with a leading @ a name in the abstract namespace.
	Unix string
}

// IPAddress returns the Address of an IP address and port.
func IPAddress(a netip.AddrPort) Address { return Address{IP: a} }

// UnixAddress returns the Address of a Unix socket.
func UnixAddress(name string) Address { return Address{Unix: name} }

// IsZero reports whether it is the zero Address.
func (a Address) IsZero() bool { return a == Address{} }

// String returns the address in the usual form.
func (a Address) String() string {
	if a.IP.IsValid() {
		return a.IP.String()
	}
	return a.Unix
}

// store puts the address into the kernel's form.
func (a Address) store(sa *sys.Sockaddr) error {
	switch {
	case a.IP.IsValid() && a.Unix != "":
		return fmt.Errorf("proactor: an address that is both %v and %q: %w", a.IP, a.Unix, syscall.EINVAL)
	case a.IP.IsValid():
		return sa.SetAddrPort(a.IP)
	}
	if err := sa.SetUnix(a.Unix); err != nil {
		return fmt.Errorf("proactor: the name of a Unix socket is too long: %q: %w", a.Unix, err)
	}
	return nil
}

// addressOf returns an address that the kernel has filled in.
func addressOf(sa *sys.Sockaddr) Address {
	if a, ok := sa.AddrPort(); ok {
		return Address{IP: a}
	}
	return Address{Unix: sa.UnixName()}
}
