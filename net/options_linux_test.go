package net_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	stdnet "net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// newSockets runs f and returns the sockets that the process has afterwards
// and did not have before, lowest first. Nothing else may open any meanwhile.
func newSockets(t testing.TB, f func()) []int {
	t.Helper()
	before := testkit.Fds(t)
	f()
	var fds []int
	now := testkit.Fds(t)
	for fd := range maps.Keys(now) {
		if strings.HasPrefix(now[fd], "socket:") && before[fd] != now[fd] {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	return fds
}

// The names of options that package syscall lacks.
const (
	tcpUserTimeout = 18
	soProtocol     = 38
)

// options returns what the kernel says about a socket: the options and the
// flags of its descriptor.
func options(t testing.TB, fd int) map[string]int {
	t.Helper()
	m := make(map[string]int)
	for name, o := range map[string][2]int{
		"SO_KEEPALIVE":     {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
		"SO_REUSEADDR":     {syscall.SOL_SOCKET, syscall.SO_REUSEADDR},
		"SO_REUSEPORT":     {syscall.SOL_SOCKET, 15},
		"SO_LINGER":        {syscall.SOL_SOCKET, syscall.SO_LINGER},
		"SO_TYPE":          {syscall.SOL_SOCKET, syscall.SO_TYPE},
		"SO_PROTOCOL":      {syscall.SOL_SOCKET, soProtocol},
		"SO_SNDBUF":        {syscall.SOL_SOCKET, syscall.SO_SNDBUF},
		"SO_RCVBUF":        {syscall.SOL_SOCKET, syscall.SO_RCVBUF},
		"SO_RCVLOWAT":      {syscall.SOL_SOCKET, syscall.SO_RCVLOWAT},
		"TCP_NODELAY":      {syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
		"TCP_KEEPIDLE":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
		"TCP_KEEPINTVL":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
		"TCP_KEEPCNT":      {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
		"TCP_DEFER_ACCEPT": {syscall.IPPROTO_TCP, syscall.TCP_DEFER_ACCEPT},
		"TCP_QUICKACK":     {syscall.IPPROTO_TCP, syscall.TCP_QUICKACK},
		"TCP_CORK":         {syscall.IPPROTO_TCP, syscall.TCP_CORK},
		"TCP_USER_TIMEOUT": {syscall.IPPROTO_TCP, tcpUserTimeout},
		"IPV6_V6ONLY":      {syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY},
	} {
		v, err := syscall.GetsockoptInt(fd, o[0], o[1])
		if err != nil {
			v = -1
		}
		m[name] = v
	}
	m["close-on-exec"] = descriptorFlags(t, fd) & syscall.O_CLOEXEC
	return m
}

// descriptorFlags returns the flags of a descriptor and its open file.
func descriptorFlags(t testing.TB, fd int) int {
	t.Helper()
	var flags int
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(b), "flags:")
	require.True(t, ok)
	_, err = fmt.Sscanf(after, "%o", &flags)
	require.NoError(t, err)
	return flags
}

// Sockets have the options that the standard library gives them, and no other:
// those that are dialed, that listen and that are accepted, by default and as
// configured.
func TestSocketOptions(t *testing.T) {
	type config struct {
		keepAlive time.Duration
		config    stdnet.KeepAliveConfig
	}
	configs := map[string]config{
		"default":  {},
		"period":   {keepAlive: 42 * time.Second},
		"rounded":  {keepAlive: 1500 * time.Millisecond},
		"none":     {keepAlive: -1},
		"all":      {config: stdnet.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: 3 * time.Second, Count: 4}},
		"some":     {config: stdnet.KeepAliveConfig{Enable: true, Interval: 3 * time.Second}},
		"leave":    {config: stdnet.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}},
		"disabled": {config: stdnet.KeepAliveConfig{Idle: 7 * time.Second}},
		"both":     {keepAlive: 42 * time.Second, config: stdnet.KeepAliveConfig{Enable: true, Idle: 7 * time.Second}},
	}
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, c := range configs {
			for _, network := range append(networks, "tcp") {
				t.Run(name+" "+network, func(t *testing.T) {
					stdConfig := stdnet.ListenConfig{KeepAlive: c.keepAlive, KeepAliveConfig: c.config}
					stdDialer := stdnet.Dialer{KeepAlive: c.keepAlive, KeepAliveConfig: c.config}
					ourConfig := net.ListenConfig{Runtime: rt, KeepAlive: c.keepAlive, KeepAliveConfig: c.config}
					ourDialer := net.Dialer{Runtime: rt, KeepAlive: c.keepAlive, KeepAliveConfig: c.config}
					want := socketOptions(t, network, stdConfig.Listen, stdDialer.Dial)
					got := socketOptions(t, network, ourConfig.Listen, ourDialer.Dial)
					for _, what := range []string{"dialed", "accepted"} {
						require.Equal(t, want[what], got[what], what)
					}
				})
			}
		}
	})
}

func socketOptions(t *testing.T, network string, listen func(context.Context, string, string) (stdnet.Listener, error),
	dial func(network, address string) (stdnet.Conn, error)) map[string]map[string]int {
	var l stdnet.Listener
	var client, server stdnet.Conn
	all := make(map[string]map[string]int)
	note := func(what string, f func() (io.Closer, error)) {
		fds := newSockets(t, func() {
			c, err := f()
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
		})
		require.Len(t, fds, 1)
		all[what] = options(t, fds[0])
	}
	note("listening", func() (_ io.Closer, err error) {
		l, err = listen(context.Background(), network, address(t, network))
		return l, err
	})
	note("dialed", func() (_ io.Closer, err error) {
		client, err = dial(network, l.Addr().String())
		return client, err
	})
	note("accepted", func() (_ io.Closer, err error) {
		server, err = l.Accept()
		return server, err
	})
	return all
}

// Options that are changed later are the socket's, and as the standard library
// sets them.
func TestChangedSocketOptions(t *testing.T) {
	changes := map[string]func(c tcp) error{
		"delay":           func(c tcp) error { return c.SetNoDelay(false) },
		"no keep-alive":   func(c tcp) error { return c.SetKeepAlive(false) },
		"period":          func(c tcp) error { return c.SetKeepAlivePeriod(42 * time.Second) },
		"period rounded":  func(c tcp) error { return c.SetKeepAlivePeriod(42*time.Second + 1) },
		"period zero":     func(c tcp) error { return c.SetKeepAlivePeriod(0) },
		"period negative": func(c tcp) error { return c.SetKeepAlivePeriod(-1) },
		"linger":          func(c tcp) error { return c.SetLinger(3) },
		"linger off":      func(c tcp) error { return c.SetLinger(-1) },
		"read buffer":     func(c tcp) error { return c.SetReadBuffer(50_000) },
		"write buffer":    func(c tcp) error { return c.SetWriteBuffer(50_000) },
		"config disabled": func(c tcp) error { return c.SetKeepAliveConfig(stdnet.KeepAliveConfig{}) },
		"config off": func(c tcp) error {
			return c.SetKeepAliveConfig(stdnet.KeepAliveConfig{Idle: 5 * time.Second, Count: 2})
		},
		"config on": func(c tcp) error { return c.SetKeepAliveConfig(stdnet.KeepAliveConfig{Enable: true, Count: 2}) },
		"config left alone": func(c tcp) error {
			return c.SetKeepAliveConfig(stdnet.KeepAliveConfig{Enable: true, Idle: -1, Count: -1, Interval: -1})
		},
		"too much": func(c tcp) error { return c.SetKeepAlivePeriod(100_000 * time.Second) },
	}
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, change := range changes {
			t.Run(name, func(t *testing.T) {
				var seen [2]map[string]int
				var errs [2][]string
				for i, lib := range []*library{standard, ours(rt)} {
					o := &observer{T: t, library: lib, network: "tcp4", dir: "no directory"}
					l, err := lib.listen("tcp4", "127.0.0.1:0")
					require.NoError(t, err)
					defer l.Close()
					var c stdnet.Conn
					fds := newSockets(t, func() {
						c, err = lib.dial(context.Background(), stdnet.Dialer{KeepAlive: 33 * time.Second}, "tcp4", l.Addr().String())
						require.NoError(t, err)
					})
					defer c.Close()
					require.Len(t, fds, 1)
					o.see("change", change(c.(tcp)))
					seen[i], errs[i] = options(t, fds[0]), o.seen
				}
				require.Equal(t, seen[0], seen[1])
				require.Equal(t, errs[0], errs[1])
			})
		}
	})
}
