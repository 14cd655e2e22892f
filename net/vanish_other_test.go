//go:build !linux

package net_test

import stdnet "net"

func vanish(stdnet.Conn) bool { return false }
