package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// cp runs the program.
func cp(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func write(t *testing.T, name string, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.Read(content)
	require.NoError(t, os.WriteFile(name, content, 0o640))
	return content
}

// names lists a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestCopies(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for _, backend := range []string{"auto", "std"} {
		for name, size := range map[string]int{"empty": 0, "a byte": 1, "a chunk": chunk, "some chunks": 5*chunk + 77} {
			t.Run(backend+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
				content := write(t, src, size)
				code, stdout, stderr := cp(t.Context(), "-backend", backend, "-verify", src, dst)
				require.Equal(t, kit.ExitOK, code, stderr)
				require.Empty(t, stderr)
				require.Contains(t, stdout, "SHA-256")
				got, err := os.ReadFile(dst)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, got))
				if runtime.GOOS != "windows" {
					info, err := os.Stat(dst)
					require.NoError(t, err)
					require.Equal(t, fs.FileMode(0o640), info.Mode().Perm())
				}
				// Once more over what is there, in silence.
				code, stdout, stderr = cp(t.Context(), "-backend", backend, "-q", src, dst)
				require.Equal(t, kit.ExitOK, code, stderr)
				require.Empty(t, stdout+stderr)
				require.Equal(t, []string{"dst", "src"}, names(t, dir))
			})
		}
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	src, same := filepath.Join(dir, "src"), filepath.Join(dir, "same")
	content := write(t, src, 1000)
	require.NoError(t, os.Link(src, same))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	before := names(t, dir)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a directory":        {[]string{dir, filepath.Join(dir, "x")}, kit.ExitFailed, "is a directory"},
		"into a directory":   {[]string{src, filepath.Join(dir, "sub")}, kit.ExitFailed, "name the file: " + filepath.Join(dir, "sub", "src")},
		"onto itself":        {[]string{src, same}, kit.ExitFailed, "the same file"},
		"nothing":            {[]string{filepath.Join(dir, "none"), filepath.Join(dir, "x")}, kit.ExitFailed, "none"},
		"to nowhere":         {[]string{src, filepath.Join(dir, "none", "x")}, kit.ExitFailed, "none"},
		"a single name":      {[]string{src}, kit.ExitUsage, "two arguments"},
		"an unknown backend": {[]string{"-backend", "best", src, same}, kit.ExitUsage, "want auto, ring or std"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := cp(t.Context(), c.args...)
			require.Equal(t, c.code, code)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.says)
			require.Equal(t, before, names(t, dir))
		})
	}
	got, err := os.ReadFile(src)
	require.NoError(t, err)
	require.Equal(t, content, got)
}

func TestInterruptedLeavesNothingBehind(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	write(t, src, 64*chunk)
	old := write(t, dst, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		// As soon as there is a temporary file, or the whole copy was too fast
		// for us, which proves nothing and is no failure either.
		for ctx.Err() == nil {
			if list, err := os.ReadDir(dir); err != nil || len(list) > 2 {
				cancel()
			}
		}
	}()
	code, _, stderr := cp(ctx, src, dst)
	require.Equal(t, []string{"dst", "src"}, names(t, dir))
	if code == kit.ExitOK {
		return
	}
	require.Equal(t, kit.ExitInterrupted, code, stderr)
	got, err := os.ReadFile(dst)
	require.NoError(t, err)
	require.Equal(t, old, got)
}

func TestProgressLine(t *testing.T) {
	require.Equal(t, " 25 %  50 of 200 MB  25.0 MB/s  6s left", progressLine(50e6, 200e6, 2*time.Second))
	require.NotContains(t, progressLine(0, 200e6, time.Second), "left")
}

func TestHelp(t *testing.T) {
	code, stdout, stderr := cp(t.Context(), "-h")
	require.Equal(t, kit.ExitOK, code)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "-verify")
}
