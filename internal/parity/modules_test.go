package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// modules are programs of others, for the standard library's package. They are
// small enough to be built in a test, and each uses another part of it.
var modules = []struct {
	path, version string
	packages      []string // built with their tests, which are run
	run           string   // of the tests, those to run; empty means all
	skip          string   // and not these, for the reason that is given there
}{
	// Connections that are hijacked from net/http, and Buffers. TestPreparedMessage
	// depends on rand.Seed, which has no effect in a module whose go.mod asks for the
	// Go that ours needs; it fails there with the standard library's package, too.
	// TestTracingDialWithContext wants ConnectDone of httptrace; see the table of differences.
	{"github.com/gorilla/websocket", "v1.5.3", []string{"."}, "", "^Test(PreparedMessage|TracingDialWithContext)$"},
	// Listeners and connections of a package's own around ours, over TCP and Unix
	// sockets, and addresses of both.
	{"golang.org/x/crypto", "v0.54.0", []string{"./ssh", "./ssh/agent"}, "", ""},
	// A server that does not use net/http: its own pool of connections, keep-alive,
	// deadlines, sendfile, dialing with a cache of addresses. What is skipped looks up
	// a name in the network outside.
	{
		"github.com/valyala/fasthttp", "v1.58.0", []string{"."},
		"^Test(Server|Client|HostClient|Pipeline|WorkerPool|Dial)", "^TestClientConfigureClientFailed$",
	},
}

// TestModules builds and tests what was written for the standard library's package,
// with nothing but the import changed.
func TestModules(t *testing.T) {
	if testing.Short() {
		t.Log("under -short, nothing is downloaded")
		return
	}
	testkit.Watchdog(t, 20*time.Minute)
	for _, m := range modules {
		t.Run(m.path, func(t *testing.T) {
			source := download(t, m.path+"@"+m.version)
			dir := filepath.Join(t.TempDir(), "module")
			require.NoError(t, os.CopyFS(dir, os.DirFS(source)))
			require.Positive(t, changeImports(t, dir), "nothing imports package net")
			here, err := filepath.Abs(root)
			require.NoError(t, err)
			module := strings.TrimSuffix(ourPath, "/net")
			gocmd(t, dir, "mod", "edit", "-require="+module+"@v0.0.0", "-replace="+module+"="+here)
			args := append([]string{"test", "-short", "-vet=off", "-count=1", "-timeout=2m", "-run=" + m.run, "-skip=" + m.skip}, m.packages...)
			t.Logf("%s", gocmd(t, dir, args...))
		})
	}
}

// download returns the directory of a module.
func download(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of any module
	out, err := cmd.Output()
	var info struct{ Dir, Error string }
	require.NoError(t, json.Unmarshal(out, &info), "%s", out)
	if err != nil {
		testkit.Skip(t, "the module cannot be downloaded, as without a network: %s", info.Error)
	}
	return info.Dir
}

// gocmd runs the go command in a module that may be given further requirements.
func gocmd(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "dial tcp") {
		testkit.Skip(t, "what the module needs cannot be downloaded:\n%s", out)
	}
	require.NoError(t, err, "go %s:\n%s", strings.Join(args, " "), tail(out))
	return out
}

// changeImports has all files below a directory import ours, and returns how many
// did.
func changeImports(t *testing.T, dir string) int {
	t.Helper()
	changed := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		spec := importOf(path, source)
		if spec == nil {
			return nil
		}
		changed++
		// The file set starts with this file, so that positions count from one.
		at, end := int(spec.Path.Pos())-1, int(spec.Path.End())-1
		text := string(source[:at]) + strconv.Quote(ourPath) + string(source[end:])
		if err := os.Chmod(path, 0o644); err != nil { // those of the cache are read-only
			return err
		}
		return os.WriteFile(path, []byte(text), 0o644)
	})
	require.NoError(t, err)
	return changed
}

// importOf returns a file's import of the standard library's package, or nil.
func importOf(path string, source []byte) *ast.ImportSpec {
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
	if err != nil {
		return nil // what is no Go, on purpose, is for nobody to compile
	}
	for _, spec := range file.Imports {
		if spec.Path.Value == strconv.Quote(stdPath) {
			return spec
		}
	}
	return nil
}
