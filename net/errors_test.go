package net_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	stdnet "net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// library is what a scenario does its work with: the standard library or ours.
type library struct {
	listen func(network, address string) (stdnet.Listener, error)
	dial   func(ctx context.Context, d stdnet.Dialer, network, address string) (stdnet.Conn, error)

	dialTCP    func(network string, laddr, raddr *stdnet.TCPAddr) error
	listenTCP  func(network string, laddr *stdnet.TCPAddr) error
	dialUnix   func(network string, laddr, raddr *stdnet.UnixAddr) error
	listenUnix func(network string, laddr *stdnet.UnixAddr) error

	zeroConns     []stream
	zeroListeners []stdnet.Listener
}

// closing closes what was opened and returns the error of opening it.
func closing[C io.Closer](c C, err error) error {
	if err == nil {
		_ = c.Close()
	}
	return err
}

var standard = &library{
	listen: stdnet.Listen,
	dial: func(ctx context.Context, d stdnet.Dialer, network, address string) (stdnet.Conn, error) {
		return d.DialContext(ctx, network, address)
	},
	dialTCP: func(network string, laddr, raddr *stdnet.TCPAddr) error {
		return closing(stdnet.DialTCP(network, laddr, raddr))
	},
	listenTCP: func(network string, laddr *stdnet.TCPAddr) error {
		return closing(stdnet.ListenTCP(network, laddr))
	},
	dialUnix: func(network string, laddr, raddr *stdnet.UnixAddr) error {
		return closing(stdnet.DialUnix(network, laddr, raddr))
	},
	listenUnix: func(network string, laddr *stdnet.UnixAddr) error {
		return closing(stdnet.ListenUnix(network, laddr))
	},
	zeroConns:     []stream{new(stdnet.TCPConn), new(stdnet.UnixConn)},
	zeroListeners: []stdnet.Listener{new(stdnet.TCPListener), new(stdnet.UnixListener)},
}

// dialer is a dialer of ours with the options of one of the standard library's.
func dialer(rt *proactor.Runtime, d stdnet.Dialer) *net.Dialer {
	mine := &net.Dialer{Runtime: rt, Timeout: d.Timeout, Deadline: d.Deadline, LocalAddr: d.LocalAddr,
		FallbackDelay: d.FallbackDelay, KeepAlive: d.KeepAlive, KeepAliveConfig: d.KeepAliveConfig,
		Resolver: d.Resolver, Control: d.Control, ControlContext: d.ControlContext}
	//lint:ignore SA1019 it has to work
	mine.Cancel = d.Cancel
	if use := d.MultipathTCP(); use != mine.MultipathTCP() {
		mine.SetMultipathTCP(use)
	}
	return mine
}

func ours(rt *proactor.Runtime) *library {
	return &library{
		listen: func(network, address string) (stdnet.Listener, error) {
			lc := net.ListenConfig{Runtime: rt}
			return lc.Listen(context.Background(), network, address)
		},
		dial: func(ctx context.Context, d stdnet.Dialer, network, address string) (stdnet.Conn, error) {
			mine := dialer(rt, d)
			return mine.DialContext(ctx, network, address)
		},
		dialTCP: func(network string, laddr, raddr *stdnet.TCPAddr) error {
			return closing(net.DialTCP(network, laddr, raddr))
		},
		listenTCP: func(network string, laddr *stdnet.TCPAddr) error {
			return closing(net.ListenTCP(network, laddr))
		},
		dialUnix: func(network string, laddr, raddr *stdnet.UnixAddr) error {
			return closing(net.DialUnix(network, laddr, raddr))
		},
		listenUnix: func(network string, laddr *stdnet.UnixAddr) error {
			return closing(net.ListenUnix(network, laddr))
		},
		zeroConns:     []stream{new(net.TCPConn), new(net.UnixConn)},
		zeroListeners: []stdnet.Listener{new(net.TCPListener), new(net.UnixListener)},
	}
}

// observer runs a scenario and writes down all that a program can see of its
// errors.
type observer struct {
	*testing.T
	*library
	network string
	dir     string
	seen    []string

	// timeouts stands for what a dial that takes too long may be with the
	// standard library, which may be one or the other.
	timeouts string
}

// see writes down an error.
func (o *observer) see(what string, err error) {
	s := describe(err)
	if o.timeouts != "" {
		s = timeouts.ReplaceAllString(s, o.timeouts)
	}
	o.seen = append(o.seen, o.hide(what+": "+s))
}

// value writes down something else.
func (o *observer) value(what string, v any) {
	o.seen = append(o.seen, o.hide(fmt.Sprintf("%s: %v", what, v)))
}

var timeouts = regexp.MustCompile(`(is (context|os)\.(Err)?DeadlineExceeded ?)+`)

var addrs = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):[0-9]{4,5}\b`)

// hide takes out what differs from run to run.
func (o *observer) hide(s string) string {
	return addrs.ReplaceAllString(strings.ReplaceAll(s, o.dir, "DIR"), "$1:PORT")
}

// known are the errors that programs compare with.
var known = map[string]error{
	"net.ErrClosed":             stdnet.ErrClosed,
	"os.ErrDeadlineExceeded":    os.ErrDeadlineExceeded,
	"context.DeadlineExceeded":  context.DeadlineExceeded,
	"context.Canceled":          context.Canceled,
	"io.EOF":                    io.EOF,
	"fs.ErrNotExist":            fs.ErrNotExist,
	"fs.ErrPermission":          fs.ErrPermission,
	"syscall.ECONNREFUSED":      syscall.ECONNREFUSED,
	"syscall.EPIPE":             syscall.EPIPE,
	"syscall.ECONNRESET":        syscall.ECONNRESET,
	"syscall.EADDRINUSE":        syscall.EADDRINUSE,
	"syscall.EADDRNOTAVAIL":     syscall.EADDRNOTAVAIL,
	"syscall.EINVAL":            syscall.EINVAL,
	"syscall.ENOTCONN":          syscall.ENOTCONN,
	"syscall.EAGAIN":            syscall.EAGAIN,
	"syscall.EPROTOTYPE":        syscall.EPROTOTYPE,
	"syscall.EMFILE":            syscall.EMFILE,
	"io.ErrUnexpectedEOF":       io.ErrUnexpectedEOF,
	"errors.ErrUnsupported":     errors.ErrUnsupported,
	"net.UnknownNetworkError()": stdnet.UnknownNetworkError(""),
}

// describe returns the text of an error, its chain of types and fields, what
// it is and how it behaves.
func describe(err error) string {
	if err == nil {
		return "nil"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q", err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e := e.(type) {
		case *stdnet.OpError:
			fmt.Fprintf(&b, " OpError{%s %s %s %s}", e.Op, e.Net, describeAddr(e.Source), describeAddr(e.Addr))
		case *os.SyscallError:
			fmt.Fprintf(&b, " SyscallError{%s}", e.Syscall)
		case *stdnet.AddrError:
			fmt.Fprintf(&b, " AddrError{%s %s}", e.Err, e.Addr)
		case *stdnet.DNSError:
			fmt.Fprintf(&b, " DNSError{%+v}", *e)
		case syscall.Errno:
			fmt.Fprintf(&b, " Errno{%d}", e)
		case stdnet.UnknownNetworkError:
			fmt.Fprintf(&b, " UnknownNetworkError{%s}", string(e))
		}
	}
	for _, name := range sorted(known) {
		if errors.Is(err, known[name]) {
			b.WriteString(" is " + name)
		}
	}
	if e, ok := err.(temporary); ok {
		fmt.Fprintf(&b, " timeout=%t temporary=%t", e.Timeout(), e.Temporary())
	}
	return b.String()
}

// temporary is net.Error. Its method is deprecated, but net/http's Serve and
// others go on because of it.
type temporary interface {
	Timeout() bool
	Temporary() bool
}

func describeAddr(a stdnet.Addr) string {
	if a == nil {
		return "<nil>"
	}
	return fmt.Sprintf("%T(%s)", a, a)
}

// pair returns the two ends of a connection.
func (o *observer) pair() (client, server stream) {
	o.Helper()
	l, err := o.listen(o.network, o.address())
	require.NoError(o, err)
	defer l.Close()
	c1, err := o.dial(context.Background(), stdnet.Dialer{}, o.network, l.Addr().String())
	require.NoError(o, err)
	c2, err := l.Accept()
	require.NoError(o, err)
	o.Cleanup(func() { _ = c1.Close(); _ = c2.Close() })
	return c1.(stream), c2.(stream)
}

func (o *observer) address() string {
	if o.network == "unix" {
		return filepath.Join(o.dir, fmt.Sprintf("s%d", len(o.seen)))
	}
	return address(o.T, o.network)
}

func (o *observer) read(what string, c stdnet.Conn) {
	n, err := c.Read(make([]byte, 8))
	o.see(fmt.Sprintf("%s: Read %d", what, n), err)
}

func (o *observer) write(what string, c stdnet.Conn) {
	n, err := c.Write([]byte("x"))
	o.see(fmt.Sprintf("%s: Write %d", what, n), err)
}

// everything calls all methods of a connection whose errors say something.
func (o *observer) everything(what string, c stream) {
	o.read(what, c)
	_, err := c.Read(nil)
	o.see(what+": Read(nil)", err)
	o.write(what, c)
	_, err = c.Write(nil)
	o.see(what+": Write(nil)", err)
	methods := map[string]func() error{
		"CloseRead":        c.CloseRead,
		"CloseWrite":       c.CloseWrite,
		"SetDeadline":      func() error { return c.SetDeadline(future()) },
		"SetReadDeadline":  func() error { return c.SetReadDeadline(past) },
		"SetWriteDeadline": func() error { return c.SetWriteDeadline(time.Time{}) },
		"SetReadBuffer":    func() error { return c.SetReadBuffer(100_000) },
		"SetWriteBuffer":   func() error { return c.SetWriteBuffer(100_000) },
	}
	for _, name := range sorted(methods) {
		o.see(what+": "+name, methods[name]())
	}
	if c, ok := c.(tcp); ok {
		o.see(what+": SetNoDelay", c.SetNoDelay(true))
		o.see(what+": SetKeepAlive", c.SetKeepAlive(true))
		o.see(what+": SetKeepAlivePeriod", c.SetKeepAlivePeriod(time.Minute))
		o.see(what+": SetKeepAliveConfig", c.SetKeepAliveConfig(stdnet.KeepAliveConfig{Enable: true}))
		o.see(what+": SetLinger", c.SetLinger(0))
	}
	o.see(what+": Close", c.Close())
}

// tcp is what TCP connections have besides.
type tcp interface {
	stream
	SetNoDelay(bool) error
	SetKeepAlive(bool) error
	SetKeepAlivePeriod(time.Duration) error
	SetKeepAliveConfig(stdnet.KeepAliveConfig) error
	SetLinger(int) error
}

// scenarios are what can go wrong on a stream, on each network.
var scenarios = map[string]func(o *observer){
	"addresses": func(o *observer) {
		c1, c2 := o.pair()
		for _, c := range []stream{c1, c2} {
			o.value("local", describeAddr(c.LocalAddr()))
			o.value("remote", describeAddr(c.RemoteAddr()))
			require.NoError(o, c.Close())
			o.value("local when closed", describeAddr(c.LocalAddr()))
			o.value("remote when closed", describeAddr(c.RemoteAddr()))
		}
	},
	"closed": func(o *observer) {
		c1, c2 := o.pair()
		for _, c := range []stream{c1, c2} {
			o.see("Close", c.Close())
			o.everything("closed", c)
			o.see("Close", c.Close())
		}
	},
	"closed while blocked": func(o *observer) {
		c1, _ := o.pair()
		fill(o, c1)
		read := start(func() (int, error) { return c1.Read(make([]byte, 1)) })
		write := start(func() (int, error) { return c1.Write(zeros) })
		time.Sleep(time.Millisecond)
		require.NoError(o, c1.Close())
		o.see("Read", (<-read).err)
		o.see("Write", (<-write).err)
	},
	"deadline is past": func(o *observer) {
		c1, c2 := o.pair()
		_, err := c2.Write([]byte("something to read"))
		require.NoError(o, err)
		o.see("SetDeadline", c1.SetDeadline(past))
		o.read("past", c1)
		o.write("past", c1)
		_, err = c1.Read(nil)
		o.see("Read(nil)", err)
		_, err = c1.Write(nil)
		o.see("Write(nil)", err)
		o.see("SetDeadline", c1.SetDeadline(time.Time{}))
		o.read("no deadline", c1)
		o.write("no deadline", c1)
		require.NoError(o, c1.SetDeadline(past))
		require.NoError(o, c1.Close())
		o.read("past and closed", c1)
		o.write("past and closed", c1)
	},
	"deadline passes": func(o *observer) {
		c1, _ := o.pair()
		fill(o, c1)
		require.NoError(o, c1.SetDeadline(time.Now().Add(5*time.Millisecond)))
		write := start(func() (int, error) { return c1.Write(zeros) })
		o.read("blocked", c1)
		o.see("Write", (<-write).err)
	},
	"end of stream": func(o *observer) {
		c1, c2 := o.pair()
		_, err := c2.Write([]byte("last"))
		require.NoError(o, err)
		require.NoError(o, c2.Close())
		for range 3 {
			o.read("peer is closed", c1)
		}
		_, err = c1.Read(nil)
		o.see("Read(nil)", err)
	},
	"broken pipe": func(o *observer) {
		c1, c2 := o.pair()
		require.NoError(o, c2.Close())
		o.read("peer is closed", c1)
		var err error
		for err == nil {
			_, err = c1.Write([]byte("x"))
		}
		o.see("Write", err)
		o.write("again", c1)
		_, err = c1.Write(nil)
		o.see("Write(nil)", err)
		o.read("then", c1)
		o.see("CloseWrite", c1.CloseWrite())
		o.see("CloseRead", c1.CloseRead())
		o.see("Close", c1.Close())
	},
	"reset": func(o *observer) {
		for _, first := range []string{"Read", "Write"} {
			c1, c2 := o.pair()
			o.write("not read by the peer", c1)
			if c2, ok := c2.(tcp); ok {
				o.see("SetLinger", c2.SetLinger(0))
			}
			require.NoError(o, c2.Close())
			for range 2 {
				if first == "Read" {
					o.read(first, c1)
					o.write(first, c1)
				} else {
					o.write(first, c1)
					o.read(first, c1)
				}
			}
			o.see("CloseWrite", c1.CloseWrite())
			o.see("CloseRead", c1.CloseRead())
			o.see("Close", c1.Close())
		}
	},
	"half-closed": func(o *observer) {
		c1, c2 := o.pair()
		for range 2 {
			o.see("CloseWrite", c1.CloseWrite())
			o.write("half-closed", c1)
		}
		o.read("peer half-closed", c2)
		o.write("peer half-closed", c2)
		o.read("half-closed", c1)
		for range 2 {
			o.see("CloseRead", c1.CloseRead())
			o.read("both closed", c1)
		}
	},
	"listener is closed": func(o *observer) {
		l, err := o.listen(o.network, o.address())
		require.NoError(o, err)
		accept := start(func() (int, error) { return 0, closing(l.Accept()) })
		time.Sleep(time.Millisecond)
		o.see("Close", l.Close())
		o.see("Accept", (<-accept).err)
		o.see("Accept", closing(l.Accept()))
		o.see("SetDeadline", l.(deadliner).SetDeadline(past))
		o.see("Close", l.Close())
		o.value("Addr", describeAddr(l.Addr()))
	},
	"accept times out": func(o *observer) {
		l, err := o.listen(o.network, o.address())
		require.NoError(o, err)
		defer l.Close()
		o.see("SetDeadline", l.(deadliner).SetDeadline(time.Now().Add(2*time.Millisecond)))
		o.see("Accept", closing(l.Accept()))
		o.see("SetDeadline", l.(deadliner).SetDeadline(past))
		o.see("Accept", closing(l.Accept()))
		require.NoError(o, l.Close())
		o.see("Accept", closing(l.Accept()))
	},
	"refused": func(o *observer) {
		// A port that was listened on is the next one's who listens.
		addr := strings.Replace(o.address(), ":0", ":1", 1)
		if o.network == "unix" {
			l, err := o.listen(o.network, addr)
			require.NoError(o, err)
			l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false) // or it would not exist
			require.NoError(o, l.Close())
		}
		o.see("dial", closing(o.dial(context.Background(), stdnet.Dialer{}, o.network, addr)))
		o.see("dial with timeout", closing(o.dial(context.Background(), stdnet.Dialer{Timeout: time.Hour}, o.network, addr)))
	},
	"no time to dial": func(o *observer) {
		o.timeouts = "is a timeout "
		l, err := o.listen(o.network, o.address())
		require.NoError(o, err)
		defer l.Close()
		dial := func(ctx context.Context, d stdnet.Dialer) error {
			return closing(o.dial(ctx, d, o.network, l.Addr().String()))
		}
		o.see("deadline", dial(context.Background(), stdnet.Dialer{Deadline: past}))
		o.see("timeout", dial(context.Background(), stdnet.Dialer{Timeout: -1}))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		o.see("cancelled", dial(ctx, stdnet.Dialer{}))
		o.see("cancelled and deadline", dial(ctx, stdnet.Dialer{Deadline: past}))
		ctx, cancel = context.WithDeadline(context.Background(), past)
		defer cancel()
		o.see("context", dial(ctx, stdnet.Dialer{}))
		ctx, cancel = context.WithTimeout(context.Background(), time.Hour)
		o.see("enough", dial(ctx, stdnet.Dialer{Timeout: time.Hour}))
		cancel()
	},
	"listen in use": func(o *observer) {
		l, err := o.listen(o.network, o.address())
		require.NoError(o, err)
		defer l.Close()
		o.see("listen", closing(o.listen(o.network, l.Addr().String())))
	},
}

type deadliner interface{ SetDeadline(time.Time) error }

// A scenario sees the same errors here as with the standard library.
func TestErrors(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for name, scenario := range scenarios {
			sameErrors(t, rt, network, name, scenario)
		}
	})
}

func sameErrors(t *testing.T, rt *proactor.Runtime, network, name string, scenario func(o *observer)) {
	t.Run(name, func(t *testing.T) {
		var seen [2][]string
		for i, lib := range []*library{standard, ours(rt)} {
			o := &observer{T: t, library: lib, network: network, dir: shortDir(t)}
			scenario(o)
			seen[i] = o.seen
		}
		require.NotEmpty(t, seen[0])
		require.Len(t, seen[1], len(seen[0]))
		for i, want := range seen[0] {
			if want != seen[1][i] {
				t.Errorf("\nwant %s\ngot  %s", want, seen[1][i])
			}
		}
	})
}

// misuse is what can be wrong before there is a connection.
var misuse = map[string]func(o *observer){
	"dial address": func(o *observer) {
		for _, network := range []string{"tcp", "tcp4", "tcp6"} {
			for _, addr := range []string{
				"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:1", "[::1]:1", "127.0.0.1:99999", "127.0.0.1:-1",
				"127.0.0.1:nosuchport", "[::1", "::1:80", "[::1]:80:80", "[127.0.0.1]:1", "[::1]", "localhost:1", "0.0.0.0:1",
				"[::]:1", "[::ffff:127.0.0.1]:1", ":1", "127.0.0.1:http:", "[::1%nosuchzone]:1",
			} {
				err := closing(o.dial(context.Background(), stdnet.Dialer{Timeout: time.Hour}, network, addr))
				o.see(network+" "+addr, err)
			}
		}
	},
	"dial network": func(o *observer) {
		for _, network := range []string{"", "tcp5", "TCP", "unixx", "tcp:6", "ip", "file"} {
			o.see(network, closing(o.dial(context.Background(), stdnet.Dialer{}, network, "127.0.0.1:1")))
		}
	},
	"dial unix": func(o *observer) {
		file := filepath.Join(o.dir, "file")
		require.NoError(o, os.WriteFile(file, nil, 0o600))
		for _, addr := range []string{
			"", "@", "@nobody-listens-here", file, o.dir, filepath.Join(o.dir, "none"), filepath.Join(file, "below"),
			filepath.Join(o.dir, strings.Repeat("x", 200)), "@" + strings.Repeat("x", 106),
			"@" + strings.Repeat("x", 108), strings.Repeat("x", 107), strings.Repeat("x", 108), "a\x00b",
		} {
			o.see(addr, closing(o.dial(context.Background(), stdnet.Dialer{}, "unix", addr)))
		}
	},
	"local address": func(o *observer) {
		l, err := o.listen("tcp4", "127.0.0.1:0")
		require.NoError(o, err)
		defer l.Close()
		ul, err := o.listen("unix", filepath.Join(o.dir, "l"))
		require.NoError(o, err)
		defer ul.Close()
		o.see("unix name", os.WriteFile(filepath.Join(o.dir, "used"), nil, 0o600))
		for _, local := range []stdnet.Addr{
			nil, (*stdnet.TCPAddr)(nil), &stdnet.TCPAddr{}, &stdnet.TCPAddr{IP: stdnet.IPv4(127, 0, 0, 1)},
			&stdnet.TCPAddr{IP: stdnet.IPv6loopback}, &stdnet.TCPAddr{IP: stdnet.IPv6zero}, &stdnet.TCPAddr{IP: stdnet.IPv4(192, 0, 2, 1)},
			&stdnet.TCPAddr{IP: stdnet.IP{1, 2}}, &stdnet.UDPAddr{}, &stdnet.IPAddr{}, &stdnet.UnixAddr{Net: "unix"},
			l.Addr(), &stdnet.UnixAddr{Net: "unix", Name: filepath.Join(o.dir, "used")}, &stdnet.UnixAddr{Net: "unix", Name: "@" + o.dir},
			&stdnet.UnixAddr{Net: "unixgram", Name: "@" + o.dir}, &stdnet.UnixAddr{Net: "unix", Name: filepath.Join(o.dir, "none", "x")},
		} {
			d := stdnet.Dialer{LocalAddr: local}
			for _, l := range []stdnet.Listener{l, ul} {
				network := l.Addr().Network()
				name := network + " from " + describeAddr(local)
				if local != nil && strings.HasSuffix(name, "<nil>)") && local.Network() != network {
					continue // AddrError's text would need it
				}
				o.see(name, closing(o.dial(context.Background(), d, network, l.Addr().String())))
				o.see("refused "+name, closing(o.dial(context.Background(), d, network, "127.0.0.1:1")))
			}
			o.see("no address from "+describeAddr(local), closing(o.dial(context.Background(), d, "tcp", "127.0.0.1")))
		}
	},
	"listen": func(o *observer) {
		file := filepath.Join(o.dir, "file")
		require.NoError(o, os.WriteFile(file, nil, 0o600))
		addresses := map[string][]string{
			"tcp":  {"", ":0", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:0", "127.0.0.1:nosuchport", "[::1", "[::1]:0"},
			"tcp4": {"[::1]:0", "127.0.0.1:0", "0.0.0.0:0"},
			"tcp6": {"127.0.0.1:0", "[::1]:0", "[::]:0"},
			"unix": {"", file, filepath.Join(o.dir, "no", "dir"), strings.Repeat("x", 108), "@x" + o.dir},
			"":     {"127.0.0.1:0"},
			"tcp5": {"127.0.0.1:0"},
			"udp":  {"127.0.0.1:0"},
		}
		for _, network := range sorted(addresses) {
			for _, addr := range addresses[network] {
				o.see(network+" "+addr, closing(o.listen(network, addr)))
			}
		}
		longest := ("@" + o.dir + strings.Repeat("x", 108))[:108] // other processes see it
		o.see("longest abstract name", closing(o.listen("unix", longest)))
	},
	"by type": func(o *observer) {
		loopback := &stdnet.TCPAddr{IP: stdnet.IPv4(127, 0, 0, 1)}
		refused := &stdnet.TCPAddr{IP: stdnet.IPv4(127, 0, 0, 1), Port: 1}
		for _, network := range []string{"", "tcp", "tcp4", "tcp6", "udp", "unix"} {
			o.see(network+" ListenTCP nil", o.listenTCP(network, nil))
			o.see(network+" ListenTCP", o.listenTCP(network, loopback))
			o.see(network+" ListenTCP elsewhere", o.listenTCP(network, &stdnet.TCPAddr{IP: stdnet.IPv4(192, 0, 2, 1)}))
			o.see(network+" DialTCP nil", o.dialTCP(network, nil, nil))
			o.see(network+" DialTCP", o.dialTCP(network, nil, refused))
			o.see(network+" DialTCP from", o.dialTCP(network, loopback, refused))
			o.see(network+" DialTCP from elsewhere", o.dialTCP(network, &stdnet.TCPAddr{IP: stdnet.IPv4(192, 0, 2, 1)}, refused))
			o.see(network+" DialTCP nowhere", o.dialTCP(network, nil, &stdnet.TCPAddr{Port: 1}))
		}
		none := &stdnet.UnixAddr{Net: "unix", Name: filepath.Join(o.dir, "none")}
		for _, network := range []string{"", "unix", "tcp"} {
			o.see(network+" ListenUnix nil", o.listenUnix(network, nil))
			o.see(network+" DialUnix nil", o.dialUnix(network, nil, nil))
			o.see(network+" DialUnix", o.dialUnix(network, nil, none))
			o.see(network+" DialUnix from", o.dialUnix(network, &stdnet.UnixAddr{Net: "unix", Name: filepath.Join(o.dir, "me")}, none))
			o.see(network+" ListenUnix", o.listenUnix(network, none))
		}
	},
	"zero values": func(o *observer) {
		for i, c := range o.zeroConns {
			name := fmt.Sprintf("connection %d", i)
			o.everything(name, c)
			o.value(name+": LocalAddr", c.LocalAddr() == nil)
			o.value(name+": RemoteAddr", c.RemoteAddr() == nil)
		}
		for i, l := range o.zeroListeners {
			name := fmt.Sprintf("listener %d", i)
			o.see(name+": Accept", closing(l.Accept()))
			o.see(name+": SetDeadline", l.(deadliner).SetDeadline(past))
			o.see(name+": Close", l.Close())
		}
	},
}

// What is wrong with the arguments is said in the same words.
func TestErrorsOfMisuse(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, scenario := range misuse {
			sameErrors(t, rt, "", name, scenario)
		}
	})
}
