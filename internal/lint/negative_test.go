package lint

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// long returns a function of n lines.
func long(name string, n int) string {
	return "func " + name + "() {\n" + strings.Repeat("\t_ = 0\n", n-2) + "}\n"
}

// TestRulesFindWhatTheyAreFor gives the rules files that break them, one
// package each, and expects exactly the reports that are listed.
func TestRulesFindWhatTheyAreFor(t *testing.T) {
	tests := map[string]struct {
		path, source string
		want         []string
	}{
		"upward import": {
			"driver/a.go", "// Package driver is.\npackage driver\nimport _ \"" + module + "/proactor\"\n",
			[]string{"driver/a.go:3: import of proactor: driver may import only uring, internal/sys"},
		},
		"sideways import": {
			"net/a.go", "// Package net is.\npackage net\nimport _ \"" + module + "/file\"\n",
			[]string{"net/a.go:3: import of file"},
		},
		"layer jumped over": {
			"file/a_test.go", "package file\nimport _ \"" + module + "/uring\"\n",
			[]string{"file/a_test.go:2: import of uring"},
		},
		"test kit in the library": {
			"uring/a.go", "// Package uring is.\npackage uring\nimport _ \"" + module + "/internal/testkit\"\n",
			[]string{"uring/a.go:3: import of internal/testkit"},
		},
		"unknown package": {
			"extra/a.go", "// Package extra is.\npackage extra\n",
			[]string{`extra/a.go:2: package directory "extra" is in no layer`},
		},
		"import of an unknown package": {
			"examples/x/a.go", "// Command x is.\npackage main\nimport _ \"" + module + "/extra\"\n",
			[]string{"examples/x/a.go:3: import of extra"},
		},
		"unsafe": {
			"proactor/a_windows_test.go", "package proactor\nimport \"unsafe\"\nvar _ unsafe.Pointer\n",
			[]string{"proactor/a_windows_test.go:2: import \"unsafe\""},
		},
		"unsafe in the test kit": {
			"internal/testkit/a.go", "// Package testkit is.\npackage testkit\nimport _ \"unsafe\"\nimport _ \"golang.org/x/sys/unix\"\n",
			[]string{"internal/testkit/a.go:3: import \"unsafe\""},
		},
		"x/sys": {
			"net/a.go", "//go:build plan9\n\n// Package net is.\npackage net\nimport _ \"golang.org/x/sys/unix\"\n",
			[]string{"net/a.go:5: import of golang.org/x/sys/unix: net may import only"},
		},
		"atomic in uring": {
			"uring/a.go", "// Package uring is.\npackage uring\nimport _ \"go.uber.org/atomic\"\n",
			[]string{"uring/a.go:3: import of go.uber.org/atomic: uring may import only golang.org/x/sys"},
		},
		"raw calls": {
			"file/a.go", "// Package file is.\npackage file\nimport (\n\tsc \"syscall\"\n)\nvar _ = sc.RawSyscall6\nfunc f() { sc.Syscall(1, 2, 3, 4); sc.Read(0, nil) }\n",
			[]string{"file/a.go:6: sc.RawSyscall6: raw system calls", "file/a.go:7: sc.Syscall: raw system calls"},
		},
		"hidden raw calls": {
			"internal/testkit/a_test.go", "package testkit\nimport . \"golang.org/x/sys/unix\"\n",
			[]string{"internal/testkit/a_test.go:2: dot import"},
		},
		"foreign module": {
			"net/a_test.go", "package net\nimport _ \"example.com/x/y\"\nimport _ \"golang.org/x/net/nettest\"\nimport _ \"github.com/stretchr/testify/require\"\n",
			[]string{"net/a_test.go:2: import of example.com/x/y: the library depends on no module but"},
		},
		"modules for tests only": {
			"net/a.go", "// Package net is.\npackage net\nimport _ \"golang.org/x/net/nettest\"\nimport _ \"github.com/stretchr/testify/require\"\n",
			[]string{"net/a.go:3: import of golang.org/x/net/nettest: only tests", "net/a.go:4: import of github.com/stretchr/testify/require: only tests"},
		},
		"cgo and linkname": {
			"uring/a.go", "// Package uring is.\npackage uring\nimport \"C\"\nimport _ \"unsafe\"\n//go:linkname now runtime.nanotime\nfunc now() int64\n",
			[]string{"uring/a.go:3: import \"C\"", "uring/a.go:5: go:linkname"},
		},
		"skips": {
			"net/a_test.go", "package net\nimport \"testing\"\nfunc TestA(tt *testing.T) { tt.Skip(1) }\nfunc help(tb testing.TB) {\n\ttb.SkipNow()\n\tf := tb.Skipf\n\tvar it iter\n\tit.Skip(3)\n}\n",
			[]string{"net/a_test.go:3: tt.Skip", "net/a_test.go:5: tb.SkipNow", "net/a_test.go:6: tb.Skipf"},
		},
		"long function": {
			"net/a.go", "// Package net is.\npackage net\n" + long("fits", funcLinesMax) + long("tooLong", funcLinesMax+1),
			[]string{"net/a.go:93: func tooLong has 91 lines"},
		},
		"long file": {
			"net/a.go", "// Package net is.\npackage net\n" + strings.Repeat("//\n", fileLinesMax-1),
			[]string{"net/a.go:2: 701 lines"},
		},
		"no comments": {
			"file/a.go", "// Package file is.\npackage file\ntype A struct{}\nfunc (A) M() {}\n//go:noinline\nfunc F() {}\nconst C, d = 1, 2\nvar (\n\tV = 1\n)\n",
			[]string{
				"file/a.go:3: exported type A has no comment", "file/a.go:4: exported func M has no comment",
				"file/a.go:6: exported func F has no comment", "file/a.go:7: exported const C has no comment",
				"file/a.go:9: exported var V has no comment",
			},
		},
		"no package comment": {
			"internal/poll/a.go", "package poll\n",
			[]string{"internal/poll/a.go:1: package poll (internal/poll) has no package comment"},
		},
		"generated files keep the other rules": {
			"driver/zz.go", "// Code generated by x. DO NOT EDIT.\n\n// Package driver is.\npackage driver\nimport _ \"unsafe\"\n" + long("f", 1000),
			[]string{"driver/zz.go:5: import \"unsafe\""},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := parse(tt.path, []byte(tt.source))
			require.NoError(t, err)
			found := check([]*source{s})
			slices.SortFunc(found, func(a, b finding) int { return a.line - b.line })
			require.Len(t, found, len(tt.want), "%v", found)
			for i, want := range tt.want {
				require.Contains(t, found[i].String(), want)
			}
		})
	}
}

// TestRulesAllowWhatIsFine has what looks like a violation and is none.
func TestRulesAllowWhatIsFine(t *testing.T) {
	files := map[string]string{
		"uring/a.go":         "// Package uring is.\npackage uring\nimport (\n\t\"unsafe\"\n\t\"golang.org/x/sys/unix\"\n)\nvar _ unsafe.Pointer\nvar _ = unix.Syscall6\n",
		"uring/b.go":         "package uring\n// Flags of a thing.\nconst (\n\tA = 1\n\tB = 2\n)\nconst (\n\t// C is.\n\tC = 3\n\tD = 4 // D is.\n)\ntype t struct{}\nfunc (*t) M() {}\n",
		"uring/gen/a.go":     "// Command gen is.\npackage main\nimport _ \"" + module + "/uring\"\nfunc Exported() {}\n",
		"uring/full.go":      "package uring\n" + strings.Repeat("//\n", fileLinesMax-1),
		"uring/a_test.go":    "package uring\nimport _ \"" + module + "/internal/testkit\"\n" + long("f", 1000),
		"internal/sys/a.go":  "// Package sys is.\npackage sys\nimport _ \"" + module + "/uring\"\nfunc F() {}\n",
		"proactor/a.go":      "// Package proactor is.\npackage proactor\nimport (\n\t_ \"go.uber.org/atomic\"\n\t_ \"" + module + "/driver\"\n\t_ \"syscall\"\n\t_ \"golang/x\"\n)\n",
		"examples/tour/a.go": "// Command tour is.\npackage main\nimport (\n\t_ \"" + module + "/net\"\n\t_ \"" + module + "/driver\"\n\t_ \"" + module + "/examples/internal/x\"\n)\n",
		"net/a.go":           "// Package net is.\npackage net\nimport \"syscall\"\nvar _ syscall.RawConn\nfunc f(c syscall.Conn) { c.SyscallConn() }\n",
	}
	var sources []*source
	for _, p := range slices.Sorted(maps.Keys(files)) {
		s, err := parse(p, []byte(files[p]))
		require.NoError(t, err, p)
		sources = append(sources, s)
	}
	require.Empty(t, check(sources))
}

// TestWalk leaves out what is not of this module and sees what is not Go.
func TestWalk(t *testing.T) {
	root := t.TempDir()
	for p, content := range map[string]string{
		"go.mod":              "module x\n",
		"a/a_windows.go":      "package a\n",
		"a/a.s":               "",
		"a/testdata/bad.go":   "not go",
		"nested/go.mod":       "module y\n",
		"nested/sub/bad.go":   "not go",
		".hidden/bad.go":      "not go",
		"_underscore/bad.go":  "not go",
		"a/b/c/deep_test.go":  "package c\n",
		"a/b/c/deep_linux.md": "",
	} {
		full := filepath.Join(root, filepath.FromSlash(p))
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o644))
	}
	sources, foreign, err := walk(root)
	require.NoError(t, err)
	var paths []string
	for _, s := range sources {
		paths = append(paths, s.path)
	}
	require.Equal(t, []string{"a/a_windows.go", "a/b/c/deep_test.go"}, paths)
	require.Equal(t, []string{"a/a.s"}, foreign)

	require.NoError(t, os.WriteFile(filepath.Join(root, "a", "broken.go"), []byte("package"), 0o644))
	_, _, err = walk(root)
	require.Error(t, err, "a file that cannot be parsed cannot be checked")
}
