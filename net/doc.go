// Package net is the standard library's net package on io_uring: the same
// names, the same errors, and sockets whose goroutines wait for a ring's
// completion instead of readiness.
//
// Listen, Dial and the types of stream sockets are replaced; what a socket
// needs to be configured or named is the standard library's own type under the
// same name. Where the runtime has no ring (see package proactor), sockets are
// the standard library's behind the same types.
//
//	l, err := net.Listen("tcp", "localhost:8080")
//	...
//	err = http.Serve(l, handler)
//
// At present stream sockets run on the ring: TCP over IPv4 and IPv6, and Unix
// streams. Other networks are handed to the standard library.
package net

import (
	"net"
)

// These are the standard library's own types.
type (
	Addr            = net.Addr
	AddrError       = net.AddrError
	Conn            = net.Conn
	DNSError        = net.DNSError
	Error           = net.Error
	IP              = net.IP
	IPAddr          = net.IPAddr
	IPMask          = net.IPMask
	IPNet           = net.IPNet
	KeepAliveConfig = net.KeepAliveConfig
	Listener        = net.Listener
	OpError         = net.OpError
	PacketConn      = net.PacketConn
	ParseError      = net.ParseError
	Resolver        = net.Resolver
	TCPAddr         = net.TCPAddr
	UDPAddr         = net.UDPAddr
	UnixAddr        = net.UnixAddr
)

// ErrClosed is the error returned by an I/O call on a connection or listener
// that has been closed. It is the standard library's.
var ErrClosed = net.ErrClosed

// DefaultResolver is the standard library's.
var DefaultResolver = net.DefaultResolver

// JoinHostPort combines a host and a port into an address; see net.JoinHostPort.
func JoinHostPort(host, port string) string { return net.JoinHostPort(host, port) }

// SplitHostPort splits an address into host and port; see net.SplitHostPort.
func SplitHostPort(hostport string) (host, port string, err error) {
	return net.SplitHostPort(hostport)
}

// ParseIP parses an IP address; see net.ParseIP.
func ParseIP(s string) IP { return net.ParseIP(s) }

// ResolveTCPAddr resolves a TCP address; see net.ResolveTCPAddr.
func ResolveTCPAddr(network, address string) (*TCPAddr, error) {
	return net.ResolveTCPAddr(network, address)
}

// ResolveUnixAddr returns a Unix address; see net.ResolveUnixAddr.
func ResolveUnixAddr(network, address string) (*UnixAddr, error) {
	return net.ResolveUnixAddr(network, address)
}

// Pipe creates a synchronous, in-memory connection; see net.Pipe.
func Pipe() (Conn, Conn) { return net.Pipe() }
