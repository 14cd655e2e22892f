package uring

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSameNamesOnEverySystem: a program that compiles for Linux compiles for
// other systems as well, and finds out when it runs that there is no ring.
func TestSameNamesOnEverySystem(t *testing.T) {
	linux := exported(t, "linux")
	require.Contains(t, linux, "func (*Ring) SubmitAndWait")
	for _, system := range []string{"darwin", "windows", "freebsd"} {
		require.Equal(t, linux, exported(t, system), system)
	}
}

// exported returns what the package exports on an operating system: the names,
// and how functions are called.
func exported(t *testing.T, system string) map[string]string {
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = system, "amd64", false
	pkg, err := ctx.ImportDir(".", 0)
	require.NoError(t, err)
	names := map[string]string{}
	for _, file := range pkg.GoFiles {
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range tree.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if name, ok := functionName(d); ok {
					names[name] = source(t, fset, d.Type)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					addNames(names, spec)
				}
			}
		}
	}
	return names
}

// functionName returns the name of an exported function, or of an exported method
// of an exported type.
func functionName(d *ast.FuncDecl) (string, bool) {
	if d.Recv == nil {
		return "func " + d.Name.Name, d.Name.IsExported()
	}
	recv, pointer := d.Recv.List[0].Type, ""
	if star, ok := recv.(*ast.StarExpr); ok {
		recv, pointer = star.X, "*"
	}
	owner, ok := recv.(*ast.Ident)
	if !ok {
		return "", false
	}
	return "func (" + pointer + owner.Name + ") " + d.Name.Name, owner.IsExported() && d.Name.IsExported()
}

// addNames adds the exported types, constants and variables of a declaration.
func addNames(names map[string]string, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			names["type "+s.Name.Name] = ""
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				names["value "+name.Name] = ""
			}
		}
	}
}

// source prints a part of a program in one line.
func source(t *testing.T, fset *token.FileSet, node any) string {
	var text strings.Builder
	require.NoError(t, printer.Fprint(&text, fset, node))
	return strings.Join(strings.Fields(text.String()), " ")
}
