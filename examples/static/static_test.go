package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestSelftest(t *testing.T) {
	for _, args := range [][]string{{"-backend", "auto"}, {"-backend", "std"}, {"-shards", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			testkit.Watchdog(t, time.Minute)
			var out, errs bytes.Buffer
			code := run(t.Context(), append(args, "-selftest"), &out, &errs)
			require.Equal(t, kit.ExitOK, code, "%s%s", out.String(), errs.String())
			require.Contains(t, out.String(), "self-test:      128 answers")
		})
	}
}

// Directories are listed if that is wanted, with names that no browser takes
// for markup, and without what is hidden.
func TestList(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	dir := t.TempDir()
	for _, name := range []string{"<b>.txt", ".hidden", "a b"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	rt, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	defer kit.Shutdown(rt)
	ctx, stop := context.WithCancel(t.Context())
	addr, served := make(chan string, 1), make(chan error, 1)
	go func() {
		o := options{addr: "127.0.0.1:0", root: dir, list: true, maxAge: time.Hour, grace: time.Second}
		served <- serve(ctx, rt, o, io.Discard, io.Discard, func(a string) { addr <- a })
	}()
	defer http.DefaultClient.CloseIdleConnections()
	url := "http://" + <-addr
	resp, err := http.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	for _, link := range []string{`<a href="./%3Cb%3E.txt">&lt;b&gt;.txt</a>`, `<a href="./a%20b">a b</a>`, `<a href="./sub/">sub/</a>`} {
		require.Contains(t, string(body), link)
	}
	require.NotContains(t, string(body), "hidden")
	resp, err = http.Get(url + "/a%20b")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "max-age=3600", resp.Header.Get("Cache-Control"))
	http.DefaultClient.CloseIdleConnections()
	stop()
	require.NoError(t, <-served)
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{
		"-root:":        {"-root", filepath.Join(t.TempDir(), "none")},
		"flags only":    {"."},
		"-max-age":      {"-max-age", "-1s"},
		"-addr chooses": {"-addr", "256.0.0.1:http"},
	} {
		var out, errs bytes.Buffer
		require.NotEqual(t, kit.ExitOK, run(t.Context(), args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), says)
	}
}
