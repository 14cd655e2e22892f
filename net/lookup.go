package net

import (
	"context"
	"net"
	"slices"
	"strings"
)

// LookupAddr returns the names of an address, by DefaultResolver; see
// [net.Resolver.LookupAddr].
func LookupAddr(addr string) (names []string, err error) {
	return DefaultResolver.LookupAddr(context.Background(), addr)
}

// LookupCNAME returns the canonical name of a host, by DefaultResolver; see
// [net.Resolver.LookupCNAME].
func LookupCNAME(host string) (cname string, err error) {
	return DefaultResolver.LookupCNAME(context.Background(), host)
}

// LookupHost returns the addresses of a host as text, by DefaultResolver; see
// [net.Resolver.LookupHost].
func LookupHost(host string) (addrs []string, err error) {
	return DefaultResolver.LookupHost(context.Background(), host)
}

// LookupIP returns the IPv4 and IPv6 addresses of a host, by DefaultResolver;
// see [net.Resolver.LookupIPAddr]. Zones are left out.
func LookupIP(host string) ([]IP, error) {
	addrs, err := DefaultResolver.LookupIPAddr(context.Background(), host)
	if err != nil {
		return nil, err
	}
	ips := make([]IP, len(addrs))
	for i, addr := range addrs {
		ips[i] = addr.IP
	}
	return ips, nil
}

// LookupMX returns the mail servers of a domain in the order of preference, by
// DefaultResolver; see [net.Resolver.LookupMX].
func LookupMX(name string) ([]*MX, error) {
	return DefaultResolver.LookupMX(context.Background(), name)
}

// LookupNS returns the name servers of a domain, by DefaultResolver; see
// [net.Resolver.LookupNS].
func LookupNS(name string) ([]*NS, error) {
	return DefaultResolver.LookupNS(context.Background(), name)
}

// LookupPort returns the port of a service, by DefaultResolver; see
// [net.Resolver.LookupPort].
func LookupPort(network, service string) (port int, err error) {
	return DefaultResolver.LookupPort(context.Background(), network, service)
}

// LookupSRV returns the servers of a service in the order in which to try them,
// by DefaultResolver; see [net.Resolver.LookupSRV].
func LookupSRV(service, proto, name string) (cname string, addrs []*SRV, err error) {
	return DefaultResolver.LookupSRV(context.Background(), service, proto, name)
}

// LookupTXT returns the text records of a domain, by DefaultResolver; see
// [net.Resolver.LookupTXT].
func LookupTXT(name string) ([]string, error) {
	return DefaultResolver.LookupTXT(context.Background(), name)
}

// standardResolver is what the standard library's own functions resolve by,
// unless the program has changed that.
var standardResolver = net.DefaultResolver

// ResolveIPAddr resolves an address of an IP network ("ip", "ip4" or "ip6", also
// with a protocol behind a colon), by DefaultResolver; see [net.ResolveIPAddr].
func ResolveIPAddr(network, address string) (*IPAddr, error) {
	family, _, _ := strings.Cut(network, ":")
	if DefaultResolver == standardResolver || address == "" || !isFamily(family, "ip") {
		return net.ResolveIPAddr(network, address)
	}
	return resolveHost(family, address, strings.Contains(address, ":"))
}

// ResolveTCPAddr resolves an address of a TCP network ("tcp", "tcp4" or "tcp6"),
// by DefaultResolver; see [net.ResolveTCPAddr].
func ResolveTCPAddr(network, address string) (*TCPAddr, error) {
	if network == "" {
		network = "tcp" // as the standard library has it
	}
	if DefaultResolver == standardResolver || address == "" || !isFamily(network, "tcp") {
		return net.ResolveTCPAddr(network, address)
	}
	ip, port, err := resolveHostPort(network, address)
	if err != nil {
		return nil, err
	}
	return &TCPAddr{IP: ip.IP, Port: port, Zone: ip.Zone}, nil
}

// ResolveUDPAddr resolves an address of a UDP network ("udp", "udp4" or "udp6"),
// by DefaultResolver; see [net.ResolveUDPAddr].
func ResolveUDPAddr(network, address string) (*UDPAddr, error) {
	if network == "" {
		network = "udp"
	}
	if DefaultResolver == standardResolver || address == "" || !isFamily(network, "udp") {
		return net.ResolveUDPAddr(network, address)
	}
	ip, port, err := resolveHostPort(network, address)
	if err != nil {
		return nil, err
	}
	return &UDPAddr{IP: ip.IP, Port: port, Zone: ip.Zone}, nil
}

// isFamily reports whether network is base, or base for one version of IP.
func isFamily(network, base string) bool {
	return network == base || network == base+"4" || network == base+"6"
}

func resolveHostPort(network, address string) (*IPAddr, int, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := DefaultResolver.LookupPort(context.Background(), network, service)
	if err != nil {
		return nil, 0, err
	}
	ip, err := resolveHost(network, host, strings.Contains(address, "["))
	return ip, port, err
}

// resolveHost returns an address of a host that fits the network, which is IPv4
// if there is a choice, unless the host is written as IPv6.
func resolveHost(network, host string, literal6 bool) (*IPAddr, error) {
	if host == "" {
		return &IPAddr{}, nil
	}
	addrs, err := DefaultResolver.LookupIPAddr(context.Background(), host)
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(addrs, func(a IPAddr) bool {
		v4 := a.IP.To4() != nil
		return strings.HasSuffix(network, "4") && !v4 || strings.HasSuffix(network, "6") && v4
	})
	if len(addrs) == 0 {
		return nil, &net.AddrError{Err: noSuitableAddress, Addr: host}
	}
	best := slices.IndexFunc(addrs, func(a IPAddr) bool { return (a.IP.To4() != nil) != literal6 })
	return &addrs[max(best, 0)], nil
}
