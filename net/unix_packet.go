package net

import (
	"net"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// takeUnix makes a Unix socket of the standard library ours.
func takeUnix(rt *proactor.Runtime, std *net.UnixConn, o packetOptions) (*UnixConn, error) {
	if !rt.HasRing() {
		return &UnixConn{conn: conn{std: std}}, nil
	}
	c, err := takeSocket(rt, std, o)
	if err != nil {
		return nil, err
	}
	switch c.net {
	case "unixgram":
		c.fd.SetKind(poll.Datagrams)
	case "unixpacket":
		c.fd.SetKind(poll.Packets)
	default:
		if o.behind || rt.WriteBehind() {
			_ = c.fd.SetBehind(true) // fails on a closed FD only
		}
	}
	return &UnixConn{conn: c, connected: o.connected}, nil
}

// ListenUnixgram acts like ListenPacket for the network "unixgram". The file of
// the socket is not removed when it is closed.
func ListenUnixgram(network string, laddr *UnixAddr) (*UnixConn, error) {
	std, err := net.ListenUnixgram(network, laddr)
	if err != nil {
		return nil, err
	}
	c, err := takeUnix(proactor.Default(), std, packetOptions{network: network})
	if err != nil {
		return nil, listenError(std, network, err)
	}
	return c, nil
}

// stdUnix is the standard library's connection, if there is no ring.
func (c *UnixConn) stdUnix() *net.UnixConn { return c.std.(*net.UnixConn) }

// ReadFromUnix acts like ReadFrom but returns a UnixAddr, which is nil if the
// sender has no name.
func (c *UnixConn) ReadFromUnix(b []byte) (int, *UnixAddr, error) {
	if c == nil || !c.ok() {
		return 0, nil, syscall.EINVAL
	}
	if c.std != nil {
		return c.stdUnix().ReadFromUnix(b)
	}
	m, err := c.fd.RecvFrom(b)
	if err != nil {
		err = c.opError("read", "recvfrom", err)
	}
	return m.N, c.sender(m), err
}

// ReadFrom implements the PacketConn ReadFrom method.
func (c *UnixConn) ReadFrom(b []byte) (int, Addr, error) {
	n, addr, err := c.ReadFromUnix(b)
	return n, unixAddr(addr), err
}

// ReadMsgUnix reads a message, and associated out-of-band data into oob. It
// returns how many bytes of each, the flags of the message and its sender.
// Descriptors in oob are close-on-exec and the caller's; those for which oob has
// no room are closed, and flags has syscall.MSG_CTRUNC.
//
// If oob is not empty but b is, at least one byte of a stream is read, too, and
// dropped.
func (c *UnixConn) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *UnixAddr, err error) {
	if c == nil || !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	if c.std != nil {
		return c.stdUnix().ReadMsgUnix(b, oob)
	}
	m, err := c.fd.RecvMsg(b, oob, sys.MsgCmsgCloexec)
	if err != nil {
		err = c.opError("read", "recvmsg", err)
	}
	return m.N, m.Control, m.Flags, c.sender(m), err
}

// sender is the address of who has sent a message, or nil.
func (c *UnixConn) sender(m poll.Received) *net.UnixAddr {
	if m.FromUnix == "" {
		return nil
	}
	return &net.UnixAddr{Name: m.FromUnix, Net: c.net}
}

// WriteToUnix acts like WriteTo but takes a UnixAddr.
func (c *UnixConn) WriteToUnix(b []byte, addr *UnixAddr) (int, error) {
	if c == nil || !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.stdUnix().WriteToUnix(b, addr)
	}
	n, err := c.writeTo(b, addr)
	if err != nil {
		err = c.sendError(addr, err)
	}
	return n, err
}

func (c *UnixConn) writeTo(b []byte, addr *UnixAddr) (int, error) {
	if c.connected {
		return 0, net.ErrWriteToConnected
	}
	if addr == nil {
		return 0, errMissingAddress
	}
	sa, err := c.receiver(addr, "sendto")
	if err != nil {
		return 0, err
	}
	n, err := c.fd.SendTo(b, sa)
	return n, wrapErr("sendto", err)
}

// WriteTo implements the PacketConn WriteTo method.
func (c *UnixConn) WriteTo(b []byte, addr Addr) (int, error) {
	if c == nil || !c.ok() {
		return 0, syscall.EINVAL
	}
	a, ok := addr.(*net.UnixAddr)
	if !ok {
		return 0, &net.OpError{Op: "write", Net: c.network(), Source: c.LocalAddr(), Addr: addr, Err: syscall.EINVAL}
	}
	return c.WriteToUnix(b, a)
}

func (c *UnixConn) network() string {
	if c.std != nil {
		return c.std.LocalAddr().Network()
	}
	return c.net
}

// WriteMsgUnix writes a message to addr, which is nil on a connected socket, and
// the out-of-band data in oob. It returns how many bytes of each were written.
//
// If oob is not empty but b is, one byte is written to a stream.
func (c *UnixConn) WriteMsgUnix(b, oob []byte, addr *UnixAddr) (n, oobn int, err error) {
	if c == nil || !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.stdUnix().WriteMsgUnix(b, oob, addr)
	}
	n, err = c.writeMsg(b, oob, addr)
	if err != nil {
		return n, 0, c.sendError(addr, err)
	}
	return n, len(oob), nil
}

func (c *UnixConn) writeMsg(b, oob []byte, addr *UnixAddr) (int, error) {
	if c.net == "unixgram" && c.connected {
		return 0, net.ErrWriteToConnected
	}
	var sa *sys.Sockaddr
	if addr != nil {
		var err error
		if sa, err = c.receiver(addr, "sendmsg"); err != nil {
			return 0, err
		}
	}
	n, err := c.fd.SendMsg(b, oob, sa)
	return n, wrapErr("sendmsg", err)
}

// receiver returns an address in the kernel's form, for a system call.
func (c *UnixConn) receiver(addr *net.UnixAddr, call string) (*sys.Sockaddr, error) {
	if addr.Net != c.net {
		return nil, syscall.EAFNOSUPPORT
	}
	sa := new(sys.Sockaddr)
	if err := sa.SetUnix(addr.Name); err != nil {
		return nil, wrapErr(call, err)
	}
	return sa, nil
}

// sendError wraps an error of a send to an address.
func (c *UnixConn) sendError(addr *net.UnixAddr, err error) error {
	return &net.OpError{Op: "write", Net: c.net, Source: c.laddr, Addr: unixAddr(addr), Err: err}
}
