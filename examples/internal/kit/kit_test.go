package kit

import (
	"bytes"
	"flag"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		done bool
	}{
		"nothing":     {nil, ExitOK, false},
		"all":         {[]string{"-backend", "std", "-shards", "2"}, ExitOK, false},
		"help":        {[]string{"-h"}, ExitOK, true},
		"bad backend": {[]string{"-backend", "x"}, ExitUsage, true},
		"unknown":     {[]string{"-x"}, ExitUsage, true},
	} {
		t.Run(name, func(t *testing.T) {
			fs := flag.NewFlagSet("x", flag.ContinueOnError)
			var b Backend
			b.Flags(fs, true)
			var stdout, stderr bytes.Buffer
			code, done := Parse(fs, c.args, "Usage: x", &stdout, &stderr)
			require.Equal(t, c.code, code)
			require.Equal(t, c.done, done)
			require.Equal(t, name == "help", stdout.Len() > 0)
			if name == "all" {
				require.Equal(t, c.args, b.Args())
			}
			require.Equal(t, code != ExitOK, stderr.Len() > 0)
		})
	}
}

func TestReport(t *testing.T) {
	rt, err := proactor.New(proactor.Config{Mode: proactor.ModeStd})
	require.NoError(t, err)
	var out bytes.Buffer
	Report(&out, rt)
	require.NotContains(t, out.String(), "operation", "the standard library's are not counted")
	require.NoError(t, Shutdown(rt))
	if _, ok := ProcessorTime(); ok {
		require.Contains(t, out.String(), "processor time")
	}
	if runtime.GOOS == "linux" {
		require.Positive(t, Threads())
	}
}

func TestIsTerminal(t *testing.T) {
	require.False(t, IsTerminal(io.Discard))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	require.False(t, IsTerminal(null))
}
