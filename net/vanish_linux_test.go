package net_test

import (
	stdnet "net"
	"syscall"
)

// vanish closes a connection of the standard library without telling the
// peer, and reports whether it could: that takes privileges.
func vanish(c stdnet.Conn) bool {
	const tcpRepair = 19
	rc, err := c.(*stdnet.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	var optErr error
	err = rc.Control(func(fd uintptr) {
		optErr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpRepair, 1)
	})
	return err == nil && optErr == nil && c.Close() == nil
}
