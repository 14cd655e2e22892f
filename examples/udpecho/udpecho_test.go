package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestSelfTest(t *testing.T) {
	for _, args := range [][]string{{"-backend", "auto"}, {"-backend", "std"}, {"-shards", "2"}, {"-batch", "1", "-clients", "3"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			testkit.Watchdog(t, time.Minute)
			var out, errs bytes.Buffer
			code := run(t.Context(), append([]string{"-addr", "127.0.0.1:0", "-test", "200ms"}, args...), &out, &errs)
			require.Equal(t, kit.ExitOK, code, "%s%s", &out, &errs)
			require.Regexp(t, `test: +[1-9]\d* answers checked, 0 lost`, out.String())
			require.Regexp(t, `echoed: +[1-9]\d* datagrams`, out.String())
		})
	}
}

// A datagram that is too long comes back cut off, and the end is orderly.
func TestServes(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-addr", "127.0.0.1:0", "-size", "100"}, w, w)
		_ = w.Close()
	}()
	first := make([]byte, 200)
	n, err := r.Read(first)
	require.NoError(t, err)
	addr := regexp.MustCompile(`listening on (\S+)`).FindSubmatch(first[:n])
	require.NotNil(t, addr)
	rest := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(r)
		rest <- string(all)
	}()
	c, err := net.Dial("udp", string(addr[1]))
	require.NoError(t, err)
	defer c.Close()
	for _, size := range []int{0, 50, 200} {
		_, err = c.Write(make([]byte, size))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, err := c.Read(make([]byte, 300))
		require.NoError(t, err)
		require.Equal(t, min(size, 100), n)
	}
	cancel()
	require.Equal(t, kit.ExitOK, <-code)
	require.Regexp(t, `truncated: 1 datagrams`, <-rest)
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-batch", "65"}, {"-size", "1"}, {"x"}, {"-clients", "0"}} {
		var out, errs bytes.Buffer
		require.Equal(t, kit.ExitUsage, run(t.Context(), args, &out, &errs))
		require.NotEmpty(t, errs.String())
	}
}
