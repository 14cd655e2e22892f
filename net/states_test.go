package net_test

import (
	"context"
	"fmt"
	"io"
	stdnet "net"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// socketTypes are the standard library's types of sockets and ours.
var socketTypes = []struct{ std, ours reflect.Type }{
	{reflect.TypeFor[*stdnet.TCPConn](), reflect.TypeFor[*net.TCPConn]()},
	{reflect.TypeFor[*stdnet.UDPConn](), reflect.TypeFor[*net.UDPConn]()},
	{reflect.TypeFor[*stdnet.UnixConn](), reflect.TypeFor[*net.UnixConn]()},
	{reflect.TypeFor[*stdnet.TCPListener](), reflect.TypeFor[*net.TCPListener]()},
	{reflect.TypeFor[*stdnet.UnixListener](), reflect.TypeFor[*net.UnixListener]()},
}

// Sockets that are nil, zero or closed, and those whose deadlines have passed,
// say the same as the standard library's: every method that those have, with
// usual arguments and with zero ones, down to what panics.
func TestEveryMethod(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, types := range socketTypes {
			name := types.std.Elem().Name()
			sameStates(t, types.std, name+" nil", reflect.Zero(types.std), reflect.Zero(types.ours))
			sameStates(t, types.std, name+" zero", reflect.New(types.std.Elem()), reflect.New(types.ours.Elem()))
		}
		std, ours := openers(nil), openers(rt)
		for _, kind := range sorted(std) {
			for _, state := range []string{"closed", "past"} {
				a, b := reflect.ValueOf(std[kind](t)), reflect.ValueOf(ours[kind](t))
				require.Equal(t, a.Type().Elem().Name(), b.Type().Elem().Name())
				for _, c := range []reflect.Value{a, b} {
					if state == "closed" {
						require.NoError(t, c.Interface().(io.Closer).Close())
					} else {
						require.NoError(t, c.Interface().(deadliner).SetDeadline(past))
					}
				}
				sameStates(t, a.Type(), kind+" "+state, a, b)
			}
		}
	})
}

// openers make sockets of each kind, with the standard library if rt is nil.
func openers(rt *proactor.Runtime) map[string]func(t *testing.T) any {
	lib, packets := standard, stdnet.ListenPacket
	if rt != nil {
		lib = ours(rt)
		packets = func(network, address string) (stdnet.PacketConn, error) {
			lc := net.ListenConfig{Runtime: rt}
			return lc.ListenPacket(context.Background(), network, address)
		}
	}
	m := map[string]func(t *testing.T) any{}
	closed := func(t *testing.T, c io.Closer, err error) any {
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	for _, network := range []string{"tcp4", "unix", "unixpacket"} {
		m[network+" listener"] = func(t *testing.T) any {
			l, err := lib.listen(network, address(t, network))
			return closed(t, l, err)
		}
		m[network+" connection"] = func(t *testing.T) any {
			o := &observer{T: t, library: lib, network: network, dir: shortDir(t)}
			c, _ := o.pair()
			return c
		}
	}
	for _, network := range []string{"udp4", "unixgram"} {
		m[network+" unconnected"] = func(t *testing.T) any {
			c, err := packets(network, datagramAddress(t, network))
			return closed(t, c, err)
		}
		m[network+" connected"] = func(t *testing.T) any {
			to, err := packets(network, datagramAddress(t, network))
			require.NoError(t, err)
			closed(t, to, nil)
			c, err := lib.dial(context.Background(), stdnet.Dialer{}, network, to.LocalAddr().String())
			return closed(t, c, err)
		}
	}
	return m
}

// datagramAddress is one to open a socket of datagrams at.
func datagramAddress(t *testing.T, network string) string {
	if network == "udp4" {
		return "127.0.0.1:0"
	}
	return address(t, network)
}

// sameStates calls all methods of the standard library's type of two sockets and
// compares what they say. Close is the last, twice.
func sameStates(t *testing.T, methods reflect.Type, name string, std, ours reflect.Value) {
	t.Helper()
	for _, zero := range []bool{false, true} {
		for m := range methods.Methods() {
			if m.Name == "Close" || skipped(name, m.Name) {
				continue
			}
			want, got := say(std, m.Name, zero), say(ours, m.Name, zero)
			if want != got && !gentler(name, want, got) {
				t.Errorf("%s: %s, zero arguments %t\nwant %s\ngot  %s", name, m.Name, zero, want, got)
			}
		}
	}
	for range 2 {
		if want, got := say(std, "Close", false), say(ours, "Close", false); want != got && !gentler(name, want, got) {
			t.Errorf("%s: Close\nwant %s\ngot  %s", name, want, got)
		}
	}
}

// gentler reports whether a socket that is none says so where the standard
// library's panics because it forgot to ask.
func gentler(name, want, got string) bool {
	return (strings.HasSuffix(name, " nil") || strings.HasSuffix(name, " zero")) &&
		want == "panic" && (got == "(nil)" || strings.Contains(got, syscall.EINVAL.Error()))
}

// skipped are methods that cannot be compared in a state.
func skipped(name, method string) bool {
	switch {
	case name == "tcp4 connection closed" && method == "MultipathTCP":
		return true // see docs/differences.md
	case strings.HasSuffix(name, "past") && strings.Contains(method, "Deadline"):
		return true // it would not be in that state any more
	}
	return false
}

// say calls a method and describes what it does.
func say(socket reflect.Value, method string, zero bool) (said string) {
	defer func() {
		if r := recover(); r != nil {
			said = "panic"
			if _, ok := r.(error); !ok {
				said = fmt.Sprint("panic: ", r)
			}
		}
	}()
	f := socket.MethodByName(method)
	if !f.IsValid() {
		return "no such method"
	}
	var args []reflect.Value
	for in := range f.Type().Ins() {
		v := reflect.Zero(in)
		if usual, ok := usualArguments[in]; ok && !zero {
			v = reflect.ValueOf(usual())
		}
		args = append(args, v)
	}
	var b strings.Builder
	for _, out := range f.Call(args) {
		fmt.Fprintf(&b, "(%s)", sayValue(out.Interface()))
	}
	s := anyPath.ReplaceAllString(addrs.ReplaceAllString(b.String(), "$1:PORT"), "PATH")
	return incidental.Replace(s)
}

// incidental makes the same of what no program can rely on: the names of types
// that are not exported, and the sender of a datagram that was not received,
// which the standard library has as zero for some methods and as none for others.
var incidental = strings.NewReplacer("net.addrPortUDPAddr(", "AddrPort(", "net.udpAddrPort(", "AddrPort(",
	"(0)(0)(0)(*net.UDPAddr(0.0.0.0:0))", "(0)(0)(0)(nil)", "(0)(0)(0)(0.0.0.0:0)", "(0)(0)(0)(invalid AddrPort)")

// usualArguments are by type what a method is given.
var usualArguments = map[reflect.Type]func() any{
	reflect.TypeFor[[]byte]():                 func() any { return make([]byte, 4) },
	reflect.TypeFor[int]():                    func() any { return 4096 },
	reflect.TypeFor[bool]():                   func() any { return true },
	reflect.TypeFor[time.Time]():              func() any { return past },
	reflect.TypeFor[time.Duration]():          func() any { return time.Minute },
	reflect.TypeFor[stdnet.KeepAliveConfig](): func() any { return stdnet.KeepAliveConfig{Enable: true} },
	reflect.TypeFor[io.Reader]():              func() any { return strings.NewReader("text") },
	reflect.TypeFor[io.Writer]():              func() any { return io.Discard },
	reflect.TypeFor[stdnet.Addr]():            func() any { return usualAddr },
	reflect.TypeFor[*stdnet.UDPAddr]():        func() any { return usualAddr },
	reflect.TypeFor[*stdnet.UnixAddr]():       func() any { return &stdnet.UnixAddr{Name: "@yamanote-nobody", Net: "unixgram"} },
	reflect.TypeFor[netip.AddrPort]():         func() any { return usualAddr.AddrPort() },
}

var usualAddr = &stdnet.UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1).To4(), Port: 9}

// sayValue describes a result. That of SyscallConn is tried, and a file is closed.
func sayValue(v any) string {
	if v := reflect.ValueOf(v); v.Kind() == reflect.Pointer && v.IsNil() {
		return "nil"
	}
	switch v := v.(type) {
	case nil:
		return "nil"
	case stdnet.Addr:
		return describeAddr(v)
	case error:
		return describe(v)
	case *os.File:
		return "file " + describe(v.Close())
	case syscall.RawConn:
		done := func(uintptr) bool { return true }
		return "control " + describe(v.Control(func(uintptr) {})) + ", read " + describe(v.Read(done)) + ", write " + describe(v.Write(done))
	case io.Closer:
		return "closer " + describe(v.Close())
	}
	return fmt.Sprint(v)
}

// anyPath is the name of a Unix socket of a test.
var anyPath = regexp.MustCompile(`[^ "(]*ynt[0-9]+/s[0-9]*`)
