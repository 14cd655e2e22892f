package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// suite is the standard library's own tests of package net, as the files of a
// package outside of it that imports it with a dot. What is not in reach from
// there has a stand-in (testdata/standins) or is left out.
type suite struct {
	fset  *token.FileSet
	dir   string   // of the package, where the tests expect their data
	names []string // of the files
	files []*ast.File

	// dropped says for each declaration that is left out why the rest would not
	// compile with it: nearly always an unexported name.
	dropped []string
}

const standins = "testdata/standins/net/standins_test.go"

// standinPackages are imported in the place of packages that only the toolchain
// can import.
var standinPackages = map[string]string{
	"internal/testenv":      "testenv",
	"internal/poll":         "poll",
	"internal/syscall/unix": "unix",
	"internal/testpty":      "testpty",
	"internal/race":         "race",
	"internal/asan":         "asan",
	"net/internal/socktest": "socktest",
	"internal/offline":      "offline", // which the toolchain does not have
}

// standinMethods are unexported methods of types of package net, and methods that
// the tests add to them. Calls become calls of functions.
var standinMethods = map[string]bool{"port": true, "isValid": true, "isWildcard": true}

// standinPath is where a stand-in is imported from. There is nothing at that path
// but what the go command is told to see there.
func standinPath(name string) string {
	return strings.TrimSuffix(ourPath, "net") + "internal/parity/standins/" + name
}

// parseSuite reads the files and moves them out of the package.
func parseSuite() (*suite, error) {
	context := build.Default
	context.GOOS, context.CgoEnabled = "linux", false
	p, err := context.Import(stdPath, "", 0)
	if err != nil {
		return nil, err
	}
	s := &suite{fset: token.NewFileSet(), dir: p.Dir}
	own, err := parser.ParseFile(s.fset, standins, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	moveOut(own)
	names := map[string]bool{}
	for _, decl := range own.Decls {
		addNames(names, decl)
	}
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		file, err := parser.ParseFile(s.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		moveOut(file)
		file.Decls = slices.DeleteFunc(file.Decls, func(decl ast.Decl) bool { return replacedBy(names, decl) })
		s.names, s.files = append(s.names, name), append(s.files, file)
	}
	s.names, s.files = append(s.names, filepath.Base(standins)), append(s.files, own)
	return s, nil
}

// moveOut makes a file one of an external test package, with a dot import of
// package net if it was in that package.
func moveOut(file *ast.File) {
	inside := file.Name.Name == stdPath
	file.Name.Name = "net_test"
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if name, ok := standinPackages[path]; ok {
			spec.Path.Value = strconv.Quote(standinPath(name))
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && standinMethods[sel.Sel.Name] && len(call.Args) == 0 {
			call.Fun, call.Args = &ast.Ident{NamePos: sel.Sel.Pos(), Name: "standin_" + sel.Sel.Name}, []ast.Expr{sel.X}
		}
		return true
	})
	if inside {
		pos := file.Name.Pos() // errors need a position inside of the file
		spec := &ast.ImportSpec{
			Name: &ast.Ident{NamePos: pos, Name: "."},
			Path: &ast.BasicLit{ValuePos: pos, Kind: token.STRING, Value: strconv.Quote(stdPath)},
		}
		decl := &ast.GenDecl{TokPos: pos, Tok: token.IMPORT, Specs: []ast.Spec{spec}}
		file.Decls = slices.Insert(file.Decls, 0, ast.Decl(decl))
		file.Imports = append(file.Imports, spec)
	}
}

// replacedBy reports whether a declaration has a stand-in.
func replacedBy(names map[string]bool, decl ast.Decl) bool {
	fn, ok := decl.(*ast.FuncDecl)
	if !ok {
		return false
	}
	if fn.Recv != nil {
		return standinMethods[fn.Name.Name]
	}
	return names[fn.Name.Name]
}

// reduce leaves out declarations until the rest compiles against the standard
// library's package as anybody can import it.
func (s *suite) reduce(from types.Importer) error {
	for {
		bad := map[ast.Node]string{}
		unused := map[*ast.ImportSpec]bool{}
		config := types.Config{Importer: from, Error: func(err error) {
			var e types.Error
			if errors.As(err, &e) {
				s.blame(e, bad, unused)
			}
		}}
		_, err := config.Check("net_test", s.fset, s.files, nil)
		if err == nil {
			return nil
		}
		if len(bad) == 0 && len(unused) == 0 {
			return fmt.Errorf("nothing to leave out for: %w", err)
		}
		for i, file := range s.files {
			if len(bad) == 0 {
				s.dropImports(file, unused) // once nothing else is wrong
				continue
			}
			s.drop(s.names[i], file, bad)
		}
	}
}

// blame finds what an error is in.
func (s *suite) blame(e types.Error, bad map[ast.Node]string, unused map[*ast.ImportSpec]bool) {
	for _, file := range s.files {
		if e.Pos < file.FileStart || e.Pos > file.FileEnd {
			continue
		}
		for _, decl := range file.Decls {
			if e.Pos < decl.Pos() || e.Pos >= decl.End() {
				continue
			}
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				bad[decl] = e.Msg
				return
			}
			for _, spec := range group.Specs {
				if e.Pos < spec.Pos() || e.Pos >= spec.End() {
					continue
				}
				if i, ok := spec.(*ast.ImportSpec); ok {
					unused[i] = true
				} else {
					bad[spec] = e.Msg
				}
				return
			}
		}
	}
}

// drop leaves out the declarations of a file that are bad.
func (s *suite) drop(name string, file *ast.File, bad map[ast.Node]string) {
	leave := func(n ast.Node, what string) bool {
		reason, ok := bad[n]
		if ok {
			s.dropped = append(s.dropped, fmt.Sprintf("%s: %s: %s", name, what, reason))
		}
		return ok
	}
	file.Decls = slices.DeleteFunc(file.Decls, func(decl ast.Decl) bool {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			return leave(decl, decl.(*ast.FuncDecl).Name.Name)
		}
		group.Specs = slices.DeleteFunc(group.Specs, func(spec ast.Spec) bool {
			names := map[string]bool{}
			addNames(names, &ast.GenDecl{Specs: []ast.Spec{spec}})
			var all []string
			for n := range names {
				all = append(all, n)
			}
			slices.Sort(all)
			return leave(spec, strings.Join(all, ", "))
		})
		return len(group.Specs) == 0
	})
}

func (s *suite) dropImports(file *ast.File, unused map[*ast.ImportSpec]bool) {
	file.Imports = slices.DeleteFunc(file.Imports, func(spec *ast.ImportSpec) bool { return unused[spec] })
	file.Decls = slices.DeleteFunc(file.Decls, func(decl ast.Decl) bool {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.IMPORT {
			return false
		}
		group.Specs = slices.DeleteFunc(group.Specs, func(spec ast.Spec) bool { return unused[spec.(*ast.ImportSpec)] })
		return len(group.Specs) == 0
	})
}

// imports returns what the files import.
func (s *suite) imports() []string {
	var paths []string
	for _, file := range s.files {
		for _, spec := range file.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err == nil {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// write writes the files that have anything left, with package net imported from
// a path.
func (s *suite) write(dir, path string) ([]string, error) {
	var names []string
	for i, file := range s.files {
		if !slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
			group, ok := d.(*ast.GenDecl)
			return !ok || group.Tok != token.IMPORT
		}) {
			continue
		}
		redirect(file, stdPath, path)
		var b bytes.Buffer
		// Comments would end up between the wrong lines, and build constraints
		// have been evaluated. Those of examples are what is expected of them.
		comments := file.Comments
		if !strings.HasPrefix(s.names[i], "example") {
			file.Comments = nil
		}
		err := format.Node(&b, s.fset, file)
		file.Comments = comments
		redirect(file, path, stdPath)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.names[i], err)
		}
		// The names of some files would be taken for build constraints.
		name := "suite_" + strings.TrimSuffix(s.names[i], "_test.go") + "_x_test.go"
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// redirect changes the path of an import. The name in the file stays.
func redirect(file *ast.File, from, to string) {
	for _, spec := range file.Imports {
		if spec.Path.Value == strconv.Quote(from) {
			spec.Path.Value = strconv.Quote(to)
		}
	}
}
