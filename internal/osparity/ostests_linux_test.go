package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// skippedFiles are test files of package os that are not about files.
var skippedFiles = regexp.MustCompile(`^(export|env|exec|executable|pidfd|example_)|_(windows|freebsd|solaris)_test`)

// notRun are tests of package os that cannot pass with package file, each with the
// reason.
var notRun = map[string]string{
	"TestReadNonblockingFd": "os/exec gives a child the descriptor of an *os.File only, and copies from everything else",
}

// testenvSource stands in for a package that only the standard library may
// import.
const testenvSource = `package testenv

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// What package os exports to its tests only, had from outside.

var (
	ErrPathEscapes          = causeOf(os.OpenInRoot("/", ".."))
	ErrPatternHasSeparator  = causeOf(os.CreateTemp("", "a/b"))
	ErrWriteAtInAppendMode  = appendError()
)

func causeOf(_ *os.File, err error) error {
	var pe *fs.PathError
	errors.As(err, &pe)
	return pe.Err
}

func appendError() error {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	_, err = f.WriteAt(nil, 0)
	return err
}

func Atime(info fs.FileInfo) time.Time { return time.Unix(info.Sys().(*syscall.Stat_t).Atim.Unix()) }

func Builder() string                        { return "" }
func HasLink() bool                          { return true }
func HasSymlink() bool                       { return true }
func MustHaveExec(testing.TB)                {}
func MustHaveGoBuild(testing.TB)             {}
func MustHaveLink(testing.TB)                {}
func MustHaveSymlink(testing.TB)             {}
func SyscallIsNotSupported(error) bool       { return false }
func SkipFlaky(t testing.TB, issue int)      { t.Skipf("flaky: %d", issue) }
func CleanCmdEnv(cmd *exec.Cmd) *exec.Cmd    { return cmd }
func GoToolPath(testing.TB) string           { return "go" }
func Command(_ testing.TB, name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

func Executable(t testing.TB) string {
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
`

// TestTestsOfPackageOS compiles the toolchain's own tests of package os against
// package file, without the functions that cannot be compiled, and runs them on
// the standard library and on a ring.
func TestTestsOfPackageOS(t *testing.T) {
	if testing.Short() {
		return // the rest of the tests compare types in a moment, this takes a minute
	}
	testkit.Watchdog(t, 5*time.Minute)
	suite := newSuite(t)
	dropped := suite.compile(t)
	for _, name := range slices.Sorted(maps.Keys(dropped)) {
		t.Logf("not compiled: %s: %s", name, dropped[name])
	}
	dir := suite.write(t)
	for _, backend := range []string{"std", "ring"} {
		t.Run(backend, func(t *testing.T) {
			failed, passed := runSuite(t, dir, backend)
			require.Greater(t, passed, 120)
			for name, output := range failed {
				t.Errorf("%s of package os fails on package file:\n%s", name, output)
			}
		})
	}
}

// suite is the source of the tests, as changed.
type suite struct {
	fset  *token.FileSet
	files map[string]*ast.File
	dir   string
}

func newSuite(t *testing.T) *suite {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	s := &suite{
		fset:  token.NewFileSet(),
		files: make(map[string]*ast.File),
		dir:   filepath.Join(strings.TrimSpace(string(goroot)), "src", "os"),
	}
	names, err := filepath.Glob(filepath.Join(s.dir, "*_test.go"))
	require.NoError(t, err)
	for _, name := range names {
		if skippedFiles.MatchString(filepath.Base(name)) {
			continue
		}
		f, err := parser.ParseFile(s.fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		rewrite(f)
		var b bytes.Buffer
		require.NoError(t, format.Node(&b, s.fset, f))
		s.files[filepath.Base(name)], err = parser.ParseFile(s.fset, name, b.Bytes(), 0)
		require.NoError(t, err)
	}
	require.NotEmpty(t, s.files)
	return s
}

// rewrite makes a file use package file, and package os for what that does not
// have.
func rewrite(f *ast.File) {
	f.Comments = nil // they would end up anywhere
	for _, spec := range f.Imports {
		switch p, _ := strconv.Unquote(spec.Path.Value); p {
		case "os":
			spec.Path.Value = strconv.Quote(filePath)
			if spec.Name == nil {
				spec.Name = ast.NewIdent("os")
			}
		case "internal/testenv":
			spec.Path.Value = `"ostests/testenv"`
		}
	}
	imports := f.Decls[0].(*ast.GenDecl)
	imports.Lparen = max(imports.Lparen, 1)
	imports.Specs = append(imports.Specs, &ast.ImportSpec{Name: ast.NewIdent("stdos"), Path: &ast.BasicLit{Kind: token.STRING, Value: `"os"`}})
	imports.Specs = append(imports.Specs, &ast.ImportSpec{Name: ast.NewIdent("given"), Path: &ast.BasicLit{Kind: token.STRING, Value: `"ostests/testenv"`}})
	elsewhere := make(map[string]string)
	for name := range leftNames() {
		elsewhere[name] = "stdos"
	}
	for _, name := range []string{"ErrPathEscapes", "ErrPatternHasSeparator", "ErrWriteAtInAppendMode", "Atime"} {
		elsewhere[name] = "given"
	}
	// Names that the parser has not found in the file, and names after "os.".
	for _, id := range f.Unresolved {
		if from, ok := elsewhere[id.Name]; ok {
			id.Name = from + "." + id.Name
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if from, left := elsewhere[sel.Sel.Name]; ok && left && x.Name == "os" {
			x.Name = from
		}
		return true
	})
}

// compile drops functions and variables until the type checker is content, and
// returns why each was dropped.
func (s *suite) compile(t *testing.T) map[string]string {
	imports := map[string]bool{"os": true, filePath: true, "os/exec": true}
	for _, f := range s.files {
		for _, spec := range f.Imports {
			if p, _ := strconv.Unquote(spec.Path.Value); !strings.HasPrefix(p, "internal/") && p != "ostests/testenv" {
				imports[p] = true
			}
		}
	}
	imp, err := importerOf("../..", slices.Sorted(maps.Keys(imports))...)
	require.NoError(t, err)
	env, err := parser.ParseFile(s.fset, "testenv.go", testenvSource, 0)
	require.NoError(t, err)
	testenv, err := (&types.Config{Importer: imp}).Check("ostests/testenv", s.fset, []*ast.File{env}, nil)
	require.NoError(t, err)
	dropped := make(map[string]string)
	for {
		problems, unused := s.check(withPackage{imp, testenv})
		if len(problems) == 0 {
			for _, problem := range unused {
				s.drop(problem, map[string]string{})
			}
			return dropped
		}
		before := len(dropped)
		for _, problem := range problems {
			s.drop(problem, dropped)
		}
		if len(dropped) == before {
			require.Empty(t, problems, "what cannot be compiled is in no function")
		}
	}
}

type withPackage struct {
	types.Importer
	extra *types.Package
}

func (w withPackage) Import(path string) (*types.Package, error) {
	if path == w.extra.Path() {
		return w.extra, nil
	}
	if strings.HasPrefix(path, "internal/") {
		return nil, errors.New("only the standard library may import it")
	}
	return w.Importer.Import(path)
}

// check returns what cannot be compiled, and the imports that nobody uses.
func (s *suite) check(imp types.Importer) (problems, unused []types.Error) {
	conf := types.Config{Importer: imp, Error: func(err error) {
		if e := err.(types.Error); strings.Contains(e.Msg, "and not used") && strings.Contains(e.Msg, "imported") {
			unused = append(unused, e)
		} else {
			problems = append(problems, e)
		}
	}}
	_, _ = conf.Check("ostests", s.fset, slices.Collect(maps.Values(s.files)), nil)
	return problems, unused
}

// drop removes the declaration that a problem is in; an import that is not to be
// had stays until nobody uses it.
func (s *suite) drop(problem types.Error, dropped map[string]string) {
	for _, f := range s.files {
		for i, decl := range f.Decls {
			if problem.Pos < decl.Pos() || problem.Pos >= decl.End() {
				continue
			}
			name := ""
			switch d := decl.(type) {
			case *ast.FuncDecl:
				name = d.Name.Name
			case *ast.GenDecl:
				if d.Tok == token.IMPORT {
					dropImport(f, d, problem.Pos, dropped)
					return
				}
				name = s.fset.Position(d.Pos()).String()
			}
			dropped[filepath.Base(name)] = problem.Msg
			f.Decls = slices.Delete(f.Decls, i, i+1)
			return
		}
	}
}

func dropImport(f *ast.File, d *ast.GenDecl, pos token.Pos, dropped map[string]string) {
	for i, spec := range d.Specs {
		if pos >= spec.Pos() && pos < spec.End() {
			dropped[f.Name.Name+" import "+spec.(*ast.ImportSpec).Path.Value] = "only the standard library may import it"
			d.Specs = slices.Delete(d.Specs, i, i+1)
			f.Imports = slices.DeleteFunc(f.Imports, func(s *ast.ImportSpec) bool { return s == spec })
			return
		}
	}
}

// write makes a module of the suite in a temporary directory.
func (s *suite) write(t *testing.T) string {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	mod = bytes.Replace(mod, []byte("module github.com/yamanote-go/yamanote"), []byte("module ostests"), 1)
	mod = fmt.Appendf(mod, "\nrequire github.com/yamanote-go/yamanote v0.0.0\n\nreplace github.com/yamanote-go/yamanote => %s\n", root)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	put := func(name string, content []byte) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	put("go.mod", mod)
	put("go.sum", sum)
	put("testenv/testenv.go", []byte(testenvSource))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(filepath.Join(s.dir, "testdata"))))
	// Files that tests look for in the directory of package os.
	for _, name := range []string{"dir_unix.go", "env.go", "error.go", "file.go", "types.go", "stat_darwin.go", "stat_linux.go"} {
		put(name, []byte("//go:build ignore\n\npackage os\n"))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "exec"), 0o700))
	for name, f := range s.files {
		if len(f.Decls) < 2 {
			continue // nothing but imports is left
		}
		var b bytes.Buffer
		require.NoError(t, format.Node(&b, s.fset, f), name)
		put(name, b.Bytes())
	}
	return dir
}

// runSuite runs the tests and returns the output of those that failed.
func runSuite(t *testing.T, dir, backend string) (failed map[string]string, passed int) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-mod=mod", "-short", "-count=1", "-v", "-timeout=3m",
		"-skip=^("+strings.Join(slices.Sorted(maps.Keys(notRun)), "|")+")$", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "YAMANOTE_BACKEND="+map[string]string{"std": "std"}[backend])
	out, err := cmd.CombinedOutput()
	results := regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\w+)`).FindAllSubmatch(out, -1)
	failed = make(map[string]string)
	for _, r := range results {
		switch string(r[1]) {
		case "PASS":
			passed++
		case "FAIL":
			failed[string(r[2])] = section(string(out), string(r[2]))
		}
	}
	if err != nil && (len(failed) == 0 || bytes.Contains(out, []byte("\npanic: "))) {
		t.Fatalf("%v\n%s", err, out)
	}
	return failed, passed
}

// section returns what a test has printed.
func section(out, name string) string {
	_, after, _ := strings.Cut(out, "=== RUN   "+name+"\n")
	if end := regexp.MustCompile(`(?m)^=== RUN   \w+$`).FindStringIndex(after); end != nil {
		after = after[:end[0]]
	}
	return after
}
