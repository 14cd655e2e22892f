package uring

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryOperationIsProved: each operation of the table is claimed by a test
// that calls prove or proveRefusal, which hold it to its word.
func TestEveryOperationIsProved(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	claimed := map[string]string{} // name of an operation to that of a test
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				for _, op := range claims(f) {
					claimed[op] = f.Name.Name
				}
			}
		}
	}
	for info := range Ops() {
		require.NotEmpty(t, claimed["IORING_OP_"+info.Name], "no test proves %s", info.Name)
	}
}

// claims returns what a test function claims to prove.
func claims(f *ast.FuncDecl) []string {
	var ops []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := call.Fun.(*ast.Ident); ok && (name.Name == "prove" || name.Name == "proveRefusal") {
			for _, arg := range call.Args[1:] {
				ops = append(ops, arg.(*ast.Ident).Name)
			}
		}
		return true
	})
	return ops
}
