package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
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
)

func TestMain(m *testing.M) { testkit.Main(m) }

// start runs the program on a directory until end is called.
func start(t *testing.T, args ...string) (url string, end func() (code int, output string)) {
	t.Helper()
	testkit.Watchdog(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		c := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w, w)
		_ = w.Close()
		code <- c
	}()
	lines := bufio.NewReader(r)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	rest := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(lines)
		rest <- string(all)
	}()
	t.Cleanup(cancel)
	return url, func() (int, string) {
		cancel()
		return <-code, <-rest
	}
}

// root makes a directory to serve.
func root(t *testing.T) (dir string, large []byte) {
	dir = filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.Mkdir(dir, 0o755))
	large = make([]byte, 3<<20)
	_, _ = rand.Read(large)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large.bin"), large, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "small.txt"), []byte("small"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..", "secret"), []byte("secret"), 0o644))
	return dir, large
}

func TestServes(t *testing.T) {
	for _, args := range [][]string{{}, {"-backend", "std"}, {"-tls"}, {"-tls", "-backend", "std"}, {"-shards", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			dir, large := root(t)
			url, end := start(t, append(args, "-root", dir)...)
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
				ForceAttemptHTTP2: true,
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			}}
			defer client.CloseIdleConnections()
			get := func(path string) (int, []byte) {
				resp, err := client.Get(url + path)
				require.NoError(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				return resp.StatusCode, body
			}
			code, body := get("small.txt")
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, "small", string(body))
			code, body = get("large.bin")
			require.Equal(t, http.StatusOK, code)
			require.True(t, bytes.Equal(large, body))
			for _, path := range []string{"missing", "%2e%2e/secret", "api/nothing"} {
				code, _ = get(path)
				require.Equal(t, http.StatusNotFound, code, path)
			}
			code, body = get("api/status")
			require.Equal(t, http.StatusOK, code)
			var r report
			require.NoError(t, json.Unmarshal(body, &r))
			require.Equal(t, int64(6), r.Requests)
			if r.Backend == "ring" {
				require.Positive(t, r.Operations)
			} else {
				require.NotEmpty(t, r.Reason)
			}
			client.CloseIdleConnections()
			exit, output := end()
			require.Equal(t, kit.ExitOK, exit, output)
			require.Contains(t, output, "requests:       6")
		})
	}
}

// With -debug the server shows what its rings do, and without it does not.
func TestDebug(t *testing.T) {
	dir, _ := root(t)
	for _, backend := range []string{"auto", "std"} {
		for _, on := range []bool{true, false} {
			args := []string{"-root", dir, "-backend", backend}
			if on {
				args = append(args, "-debug")
			}
			url, end := start(t, args...)
			for path, says := range map[string]string{
				"debug/yamanote": "what the rings of this process do", "debug/vars": `"yamanote": {"backend":"`,
			} {
				resp, err := http.Get(url + path)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				if on {
					require.Equal(t, http.StatusOK, resp.StatusCode)
					require.Contains(t, string(body), says)
				} else {
					require.Equal(t, http.StatusNotFound, resp.StatusCode)
				}
			}
			http.DefaultClient.CloseIdleConnections()
			code, output := end()
			require.Equal(t, kit.ExitOK, code, output)
		}
	}
}

// A request that is under way when the end comes is answered.
func TestShutsDownGracefully(t *testing.T) {
	dir, large := root(t)
	url, end := start(t, "-root", dir, "-grace", "30s")
	resp, err := http.Get(url + "large.bin")
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	type result struct {
		code   int
		output string
	}
	ended := make(chan result, 1)
	go func() {
		code, output := end()
		ended <- result{code, output}
	}()
	testkit.Eventually(t, func() bool {
		_, err := http.Get(url + "small.txt")
		return err != nil
	}, "the server still accepts")
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, body))
	r := <-ended
	require.Equal(t, kit.ExitOK, r.code, r.output)
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{
		"-root:":     {"-root", filepath.Join(t.TempDir(), "none")},
		"flags only": {"."},
		"-addr":      {"-addr", "256.0.0.1:http"},
	} {
		var out, errs bytes.Buffer
		require.NotEqual(t, kit.ExitOK, run(t.Context(), args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), says)
	}
}
