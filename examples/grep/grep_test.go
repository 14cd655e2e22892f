package main

import (
	"bytes"
	"context"
	"fmt"
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

// grep runs the program.
func grep(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestFinds(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Join("d", "e"), 0o755))
	for name, content := range map[string]string{
		"a": "one\ntwo a.b\nthree axb", "d/b": "axb\r\n\naxb\n", "d/e/c": "\x00axb\n", "empty": "", "z": "nothing\n",
	} {
		require.NoError(t, os.WriteFile(filepath.FromSlash(name), []byte(content), 0o600))
	}
	b, c := filepath.FromSlash("d/b"), filepath.FromSlash("d/e/c")
	for _, backend := range []string{"auto", "std"} {
		for _, x := range []struct {
			code int
			want string
			args []string
		}{
			{found, "a:two a.b\na:three axb\n" + b + ":axb\n" + b + ":axb\n" + c + ": binary file matches\n", []string{"a.b", "."}},
			{found, "a:2:two a.b\n", []string{"-F", "-n", "a.b", "."}},
			{found, b + ":1:axb\n" + b + ":3:axb\n", []string{"-n", "^axb$", "d/b"}},
			{found, "a\n" + b + "\n" + c + "\n", []string{"-l", "axb", "a", "d"}},
			{notFound, "", []string{"nowhere", "."}},
			{notFound, "", []string{"one\ntwo", "a"}},
			{found, "z:nothing\n", []string{"not", "z"}},
		} {
			code, stdout, stderr := grep(t.Context(), append([]string{"-backend", backend}, x.args...)...)
			require.Equal(t, x.code, code, x.args)
			require.Equal(t, x.want, stdout, x.args)
			require.Empty(t, stderr)
		}
		code, stdout, stderr := grep(t.Context(), "-backend", backend, "not", "none", "z")
		require.Equal(t, failed, code)
		require.Equal(t, "z:nothing\n", stdout, "the rest is searched all the same")
		require.Contains(t, stderr, "none")
	}
}

// Of more files than are read at once, all come, in the order of their names.
func TestOrder(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	t.Chdir(t.TempDir())
	want := ""
	for i := range 3*group + 7 {
		name := fmt.Sprintf("%05d", i)
		require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("x\n", i)+"match "+name), 0o600))
		want += name + ":match " + name + "\n"
	}
	code, stdout, stderr := grep(t.Context(), "match", ".")
	require.Equal(t, found, code, stderr)
	require.Equal(t, want, stdout)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, _ = grep(ctx, "match", ".")
	require.Equal(t, kit.ExitInterrupted, code)
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{"at least one path": {"x"}, "missing closing": {"(", "."}} {
		code, stdout, stderr := grep(t.Context(), args...)
		require.Equal(t, failed, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, says)
	}
}
