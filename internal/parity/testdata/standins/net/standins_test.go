// Package net_test has what the standard library's own tests of package net take
// from inside of that package, by its exported names.
package net_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	. "net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "internal/offline"
)

func TestMain(m *testing.M) {
	setupTestData()
	os.Exit(m.Run())
}

// Hooks that nobody calls, and what else has nothing to do outside.
var (
	testHookLookupIP     func(context.Context, func(context.Context, string, string) ([]IPAddr, error), string, string) ([]IPAddr, error)
	testHookStepTime     func()
	testHookCanceledDial func()
	dnsWaitGroup         sync.WaitGroup
)

func uninstallTestHooks() {}

const (
	defaultTCPKeepAliveIdle     = 15 * time.Second
	defaultTCPKeepAliveInterval = 15 * time.Second
	defaultTCPKeepAliveCount    = 9
)

var (
	errNoSuitableAddress = errors.New("no suitable address found")
	errNoSuchHost        = errors.New("no such host")
	errMissingAddress    = dialErrTo("")
)

func dialErrTo(address string) error {
	_, err := Dial("tcp", address)
	return err.(*OpError).Err
}

var (
	noDeadline  = time.Time{}
	errTimeout  = dialErr(func(d *Dialer) context.Context { d.Timeout = 1; return context.Background() })
	errCanceled = dialErr(func(*Dialer) context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	})
)

// dialErr returns what a dial fails with.
func dialErr(f func(*Dialer) context.Context) error {
	var d Dialer
	ctx := f(&d)
	_, err := d.DialContext(ctx, "tcp", "127.0.0.1:1")
	return err.(*OpError).Err
}

func listens(network, address string) func() bool {
	return sync.OnceValue(func() bool {
		l, err := Listen(network, address)
		if err != nil {
			return false
		}
		l.Close()
		return true
	})
}

var (
	supportsIPv4    = listens("tcp4", "127.0.0.1:0")
	supportsIPv6    = listens("tcp6", "[::1]:0")
	supportsIPv4map = listens("tcp", "[::ffff:127.0.0.1]:0")
)

type zones struct{}

func (zones) name(index int) string {
	ifi, err := InterfaceByIndex(index)
	if err != nil {
		return strconv.Itoa(index)
	}
	return ifi.Name
}

var zoneCache zones

// standin_port, standin_isValid and standin_isWildcard stand for methods.

func standin_port(socket any) string {
	var addr Addr
	switch s := socket.(type) {
	case interface{ Addr() Addr }:
		addr = s.Addr()
	case interface{ LocalAddr() Addr }:
		addr = s.LocalAddr()
	}
	_, port, err := SplitHostPort(addr.String())
	if err != nil {
		panic(err)
	}
	return port
}

func standin_isValid(e *OpError) error {
	if e.Op == "" || e.Net == "" || e.Err == nil {
		return fmt.Errorf("an OpError that says too little: %#v", e)
	}
	for _, addr := range []Addr{e.Source, e.Addr} {
		if addr != nil && fmt.Sprintf("%v", addr) == "<nil>" {
			return fmt.Errorf("an OpError with an address that is a nil pointer: %#v", e)
		}
	}
	return nil
}

func standin_isWildcard(addr any) bool {
	var ip IP
	switch addr := addr.(type) {
	case *TCPAddr:
		ip = addr.IP
	case *UDPAddr:
		ip = addr.IP
	case *IPAddr:
		ip = addr.IP
	}
	return ip == nil || ip.IsUnspecified()
}

// parse says what is wrong with an error of package net.
func parse(err error, sentinels ...error) error {
	if err == nil {
		return nil
	}
	op, ok := err.(*OpError)
	if !ok {
		return fmt.Errorf("%T instead of an OpError: %v", err, err)
	}
	if err := standin_isValid(op); err != nil {
		return err
	}
	for _, s := range sentinels {
		if op.Err == s {
			return nil
		}
	}
	switch inner := op.Err.(type) {
	case *os.SyscallError:
		if _, ok := inner.Err.(syscall.Errno); ok {
			return nil
		}
	case *AddrError, *DNSError, InvalidAddrError, *ParseError, UnknownNetworkError:
		return nil
	}
	switch op.Err.Error() {
	case "missing address", "no suitable address found", "i/o timeout", "operation was canceled",
		"use of closed network connection", "use of closed file":
		return nil
	}
	return fmt.Errorf("an OpError around a %T: %v", op.Err, op.Err)
}

func parseDialError(err error) error {
	return parse(err, ErrClosed, context.DeadlineExceeded, context.Canceled)
}

func parseReadError(err error) error {
	if err == io.EOF {
		return nil
	}
	return parse(err, ErrClosed, errTimeout, os.ErrDeadlineExceeded)
}

func parseWriteError(err error) error {
	return parse(err, errCanceled, ErrClosed, errTimeout, os.ErrDeadlineExceeded, ErrWriteToConnected, io.ErrUnexpectedEOF)
}

func parseCloseError(err error, isShutdown bool) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); !errors.Is(err, ErrClosed) && text == "use of closed network connection" {
		return fmt.Errorf("%v that is not ErrClosed", err)
	}
	return parse(err, ErrClosed)
}

func parseAcceptError(err error) error {
	return parse(err, ErrClosed, errTimeout, os.ErrDeadlineExceeded)
}

func parseCommonError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*fs.PathError); ok {
		return nil
	}
	return parse(err, ErrClosed)
}

func expectSendfile(t *testing.T, _ Conn, f func()) {
	t.Helper()
	f()
}

// checkFirstListener says whether a socket has the family that its network and
// its address ask for.
func checkFirstListener(network string, ln any) error {
	rc, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var name syscall.Sockaddr
	var nameErr error
	if err := rc.Control(func(fd uintptr) { name, nameErr = syscall.Getsockname(int(fd)) }); err != nil {
		return err
	}
	if nameErr != nil {
		return nameErr
	}
	_, is4 := name.(*syscall.SockaddrInet4)
	var addr Addr
	if l, ok := ln.(Listener); ok {
		addr = l.Addr()
	} else {
		addr = ln.(PacketConn).LocalAddr()
	}
	wildcard := standin_isWildcard(addr)
	host, _, _ := SplitHostPort(addr.String())
	want4 := network[len(network)-1] == '4' || network[len(network)-1] != '6' && ParseIP(host).To4() != nil ||
		wildcard && network[len(network)-1] != '6' && !supportsIPv4map()
	if is4 != want4 {
		return fmt.Errorf("%s %v has a socket of IPv4: %v, want %v", network, addr, is4, want4)
	}
	return nil
}
