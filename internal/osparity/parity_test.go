package main

import (
	"bytes"
	"fmt"
	"go/types"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const filePath = "github.com/yamanote-go/yamanote/file"

// packages returns package os and package file, loaded together.
func packages(t *testing.T) (std, file *types.Package) {
	t.Helper()
	pkgs, err := load("../..", "os", filePath)
	require.NoError(t, err)
	return pkgs[0], pkgs[1]
}

// TestEveryName compares each exported name of the toolchain's package os with
// that of package file: it is there, is the same kind of thing, and has the same
// type, with the types that are ours in place of those of package os.
func TestEveryName(t *testing.T) {
	std, file := packages(t)
	excused := leftNames()
	compared := 0
	for _, name := range std.Scope().Names() {
		want := std.Scope().Lookup(name)
		if !want.Exported() {
			continue
		}
		got := file.Scope().Lookup(name)
		if _, ok := excused[name]; ok {
			require.Nil(t, got, "%s is in the table of differences, but is there", name)
			continue
		}
		if got == nil {
			t.Errorf("package file lacks %v: add it, or say why not in the table of differences", want)
			continue
		}
		compared++
		if problem := compare(want, got); problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
	}
	require.Greater(t, compared, 80, "the comparison compares")
}

// compare returns what is different, or nothing.
func compare(want, got types.Object) string {
	aliases := got.Pkg().Scope()
	if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
		return fmt.Sprintf("%v became %v", want, got)
	}
	if w, ok := want.(*types.Const); ok && w.Val().String() != got.(*types.Const).Val().String() {
		return fmt.Sprintf("%v became %v", want, got)
	}
	if _, ok := want.(*types.TypeName); ok {
		if types.Identical(want.Type(), got.Type()) {
			return ""
		}
		return compareMethods(want.Type(), got.Type(), aliases)
	}
	return compareTypes(want.Type(), got.Type(), aliases)
}

// compareTypes compares how types are written, with package file in place of
// package os where a type is ours.
func compareTypes(want, got types.Type, aliases *types.Scope) string {
	w, g := written(want), written(got)
	for _, name := range aliases.Names() {
		// Of an alias, TestEveryName sees that it is one.
		from, to := "os."+name, filePath+"."+name
		if tn, ok := aliases.Lookup(name).(*types.TypeName); !ok || tn.IsAlias() {
			from, to = to, from
		}
		replace := func(s string) string {
			return regexp.MustCompile(`(^|[^\w/])`+regexp.QuoteMeta(from)+`\b`).ReplaceAllString(s, "${1}"+to)
		}
		w, g = replace(w), replace(g)
	}
	if w != g {
		return fmt.Sprintf("%s became %s", w, g)
	}
	return ""
}

// written is a type without the names of parameters.
func written(t types.Type) string {
	sig, ok := t.(*types.Signature)
	if !ok {
		return types.TypeString(t, nil)
	}
	tuple := func(tup *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for i := range tup.Len() {
			vars = append(vars, types.NewParam(0, nil, "", tup.At(i).Type()))
		}
		return types.NewTuple(vars...)
	}
	return types.TypeString(types.NewSignatureType(nil, nil, nil, tuple(sig.Params()), tuple(sig.Results()), sig.Variadic()), nil)
}

// compareMethods looks for the methods of *want.
func compareMethods(want, got types.Type, aliases *types.Scope) string {
	methods := types.NewMethodSet(types.NewPointer(want))
	ours := types.NewMethodSet(types.NewPointer(got))
	var problems []string
	for i := range methods.Len() {
		m := methods.At(i).Obj()
		if !m.Exported() {
			continue
		}
		have := ours.Lookup(nil, m.Name())
		if have == nil {
			problems = append(problems, fmt.Sprintf("method %s is missing", m.Name()))
			continue
		}
		if problem := compareTypes(m.Type(), have.Obj().Type(), aliases); problem != "" {
			problems = append(problems, fmt.Sprintf("method %s: %s", m.Name(), problem))
		}
	}
	return strings.Join(problems, "; ")
}

// TestComparisonFindsDifferences feeds the comparison what must not pass.
func TestComparisonFindsDifferences(t *testing.T) {
	std, file := packages(t)
	lookup := func(p *types.Package, name string) types.Object { return p.Scope().Lookup(name) }
	require.NotEmpty(t, compare(lookup(std, "Open"), lookup(file, "OpenFile")))
	require.NotEmpty(t, compare(lookup(std, "O_RDWR"), lookup(file, "O_APPEND")))
	require.NotEmpty(t, compare(lookup(std, "Open"), lookup(file, "File")))
	require.Contains(t, compare(lookup(std, "File"), lookup(file, "Root")), "method ReadAt is missing")
	require.NotEmpty(t, compare(lookup(std, "ErrClosed"), lookup(file, "Stdin")))
}

// TestNoNameTwice checks that the tables name what there is, once.
func TestNoNameTwice(t *testing.T) {
	std, _ := packages(t)
	all := slices.Clone(ours)
	for _, d := range left {
		all = append(all, d.names...)
	}
	slices.Sort(all)
	for i, name := range all {
		require.False(t, i > 0 && all[i-1] == name, "%s is in the tables twice", name)
		require.NotNil(t, std.Scope().Lookup(name), "package os has no %s", name)
	}
}

// TestGeneratedFileIsCurrent runs the generator.
func TestGeneratedFileIsCurrent(t *testing.T) {
	std, _ := packages(t)
	want, err := generate(std)
	require.NoError(t, err)
	got, err := os.ReadFile("../../file/std.go")
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "file/std.go is out of date: run go generate ./internal/osparity")
}

// TestDocument compares the table in the documentation with the one here.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/file-parity.md")
	require.NoError(t, err)
	for _, d := range left {
		row := "| " + d.reason + " | `" + strings.Join(d.names, "`, `") + "` |"
		require.Contains(t, string(doc), row+"\n", "docs/file-parity.md lacks a row")
	}
	rows := regexp.MustCompile("(?m)^\\| [^|]+ \\| `").FindAll(doc, -1)
	require.Len(t, rows, len(left), "docs/file-parity.md has rows that are not in the table")
}
