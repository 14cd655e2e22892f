package net

import (
	"context"
	"net"
	"os"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// ListenPacket announces on a packet-oriented network, on the default runtime:
// "udp", "udp4", "udp6" and "unixgram" run on its ring, and "ip", "ip4" and
// "ip6" are the standard library's. See net.ListenPacket for addresses.
func ListenPacket(network, address string) (PacketConn, error) {
	return new(ListenConfig).ListenPacket(context.Background(), network, address)
}

// ListenPacket announces on a packet-oriented network; see the function
// ListenPacket. Of the fields of lc, Control and Runtime matter.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (PacketConn, error) {
	config := net.ListenConfig{Control: lc.Control}
	std, err := config.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c, err := takePackets(lc.runtime(), std.(net.Conn), packetOptions{network: network})
	if err != nil {
		return nil, listenError(std, network, err)
	}
	return c.(PacketConn), nil
}

// listenError gives up a socket that could not be taken over.
func listenError(std net.PacketConn, network string, err error) error {
	_ = std.Close()
	return &net.OpError{Op: "listen", Net: network, Addr: std.LocalAddr(), Err: err}
}

// FilePacketConn returns a packet connection with a duplicate of the descriptor
// of f, which stays the caller's to close and becomes non-blocking. It runs on
// the default runtime; see ListenConfig.FilePacketConn.
func FilePacketConn(f *os.File) (PacketConn, error) { return new(ListenConfig).FilePacketConn(f) }

// FilePacketConn is the function FilePacketConn on lc.Runtime; no other field
// matters.
func (lc *ListenConfig) FilePacketConn(f *os.File) (PacketConn, error) {
	std, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	c, err := takePackets(lc.runtime(), std.(net.Conn), packetOptions{shared: true})
	if err != nil {
		_ = std.Close()
		return nil, &net.OpError{Op: "file", Net: "file+net", Addr: fileAddr(f.Name()), Err: err}
	}
	return c.(PacketConn), nil
}

// packetOptions say how a socket is taken over.
type packetOptions struct {
	network   string // as its maker has called it, empty for that of its address
	connected bool   // it was made for one peer
	shared    bool   // others have the socket, too, and may rely on its being non-blocking
	behind    bool   // it writes behind, if it is a stream
}

// takePackets makes a UDP or Unix socket of the standard library ours. Others
// stay what they are.
func takePackets(rt *proactor.Runtime, std net.Conn, o packetOptions) (net.Conn, error) {
	switch std := std.(type) {
	case *net.UDPConn:
		c, err := takeUDP(rt, std, o)
		if err != nil {
			return nil, err
		}
		return c, nil
	case *net.UnixConn:
		c, err := takeUnix(rt, std, o)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	return std, nil
}

// takeDialed makes a socket ours that the standard library has connected.
func takeDialed(rt *proactor.Runtime, std net.Conn, network string, local net.Addr) (net.Conn, error) {
	c, err := takePackets(rt, std, packetOptions{network: network, connected: std.RemoteAddr() != nil})
	if err != nil {
		_ = std.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Source: local, Addr: std.RemoteAddr(), Err: err}
	}
	return c, nil
}

// stdSocket is what all of the standard library's sockets have.
type stdSocket interface {
	net.Conn
	syscall.Conn
}

// takeSocket takes a socket out of the standard library's hands. If it fails,
// std is as it was.
func takeSocket(rt *proactor.Runtime, std stdSocket, o packetOptions) (conn, error) {
	c := conn{net: o.network, laddr: std.LocalAddr(), raddr: std.RemoteAddr()}
	if c.net == "" {
		c.net = c.laddr.Network()
	}
	sysfd, err := takeDescriptor(std)
	if err != nil {
		return c, err
	}
	if !o.shared {
		if err := sys.SetBlocking(sysfd); err != nil {
			_ = sys.Close(sysfd)
			return c, err
		}
	}
	_ = std.Close()
	c.fd = poll.New(rt, sysfd)
	return c, nil
}
