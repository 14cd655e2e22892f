package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// source is what the sources of package uring say.
type source struct {
	flags  map[string][]flagRow // constants by their type, in order
	proofs map[string][]string  // tests that claim an operation, by its constant
	tests  map[string]bool      // every test
	kernel map[string]bool      // those that run on Linux only, where the kernel is
	uses   map[string]idents    // identifiers in each declaration, by its name
}

type idents map[string]bool

// flagRow is a constant with the comment beside it.
type flagRow struct {
	name, text, since string
}

// read parses the package in a directory.
func read(dir string) (*source, error) {
	s := &source{
		flags: map[string][]flagRow{}, proofs: map[string][]string{},
		tests: map[string]bool{}, kernel: map[string]bool{}, uses: map[string]idents{},
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no Go files", dir)
	}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range tree.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				s.function(d, strings.HasSuffix(file, "_linux_test.go"))
			case *ast.GenDecl:
				s.constants(d)
				s.variables(d)
			}
		}
	}
	for _, names := range s.proofs {
		slices.Sort(names)
	}
	return s, nil
}

func (s *source) function(d *ast.FuncDecl, kernel bool) {
	name := d.Name.Name
	s.collect(name, d)
	if d.Recv == nil && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")) && name != "TestMain" {
		s.tests[name] = true
		if kernel {
			s.kernel[name] = true
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				s.claim(name, call)
			}
			return true
		})
	}
}

// claim notes the operations that a test says it proves.
func (s *source) claim(test string, call *ast.CallExpr) {
	f, ok := call.Fun.(*ast.Ident)
	if !ok || f.Name != "prove" && f.Name != "proveRefusal" {
		return
	}
	for _, arg := range call.Args[1:] {
		if op, ok := arg.(*ast.Ident); ok {
			s.proofs[op.Name] = append(s.proofs[op.Name], test)
		}
	}
}

// collect adds the identifiers of a declaration. Methods of the same name count
// as one.
func (s *source) collect(name string, n ast.Node) {
	set := s.uses[name]
	if set == nil {
		set = idents{}
		s.uses[name] = set
	}
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name != name {
			set[id.Name] = true
		}
		return true
	})
}

func (s *source) variables(d *ast.GenDecl) {
	if d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		for _, name := range v.Names {
			if name.Name != "_" && name.Name != "registerOps" && name.Name != "ops" {
				s.collect(name.Name, v)
			}
		}
	}
}

var sinceRE = regexp.MustCompile(`^(\d+\.\d+)$|\((\d+\.\d+)\)`)

func (s *source) constants(d *ast.GenDecl) {
	if d.Tok != token.CONST {
		return
	}
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		typ, ok := v.Type.(*ast.Ident)
		if !ok {
			continue
		}
		text := strings.TrimSpace(v.Comment.Text())
		since := strings.Trim(sinceRE.FindString(text), "()")
		text = strings.TrimSpace(sinceRE.ReplaceAllString(text, ""))
		if text == "" && len(d.Specs) == 1 {
			text = sentence(v.Names[0].Name, d.Doc.Text())
		}
		s.flags[typ.Name] = append(s.flags[typ.Name], flagRow{v.Names[0].Name, text, since})
	}
}

// sentence returns the first sentence of a comment without the name it begins
// with and without its full stop.
func sentence(name, doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if first, _, ok := strings.Cut(doc, ". "); ok {
		doc = first
	}
	return strings.TrimPrefix(strings.TrimSuffix(doc, "."), name+" ")
}

// tooGeneral are declarations that nearly every test reaches, so that going
// through them says nothing.
var tooGeneral = idents{
	"New": true, "Close": true, "String": true, "newRing": true, "needRing": true, "Register": true,
	"Enter": true, "Submit": true, "SubmitAndWait": true, "Flags": true, "Reap": true, "Add": true, "init": true,
}

// mention returns the tests by the kernel that name a constant, or else those that call by
// name something that does, up to two steps away. It is what a reader of the
// code would search for, no analysis of types.
func (s *source) mention(constant string) []string {
	target := idents{constant: true}
	for range 3 {
		if found := s.naming(target); len(found) > 0 {
			return found
		}
		target = s.around(target)
	}
	return nil
}

// calls returns the tests that name a constant and those that call by name what
// does, or else what mention finds.
func (s *source) calls(constant string) []string {
	target := idents{constant: true}
	found := s.naming(target)
	found = append(found, s.naming(s.around(target))...)
	slices.Sort(found)
	if found = slices.Compact(found); len(found) > 0 {
		return found
	}
	return s.mention(constant)
}

// naming returns the tests by the kernel that name any of the identifiers.
func (s *source) naming(target idents) []string {
	var found []string
	for name := range s.kernel {
		if overlap(s.uses[name], target) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// around returns the declarations, other than tests, that name any of the
// identifiers.
func (s *source) around(target idents) idents {
	next := idents{}
	for name, used := range s.uses {
		if !tooGeneral[name] && !s.tests[name] && overlap(used, target) {
			next[name] = true
		}
	}
	return next
}

func overlap(a, b idents) bool {
	for name := range b {
		if a[name] {
			return true
		}
	}
	return false
}
