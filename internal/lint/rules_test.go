package lint

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

const (
	fileLinesMax = 700
	funcLinesMax = 90
)

// check applies every rule to the files of one module.
func check(sources []*source) findings {
	var found findings
	for _, s := range sources {
		checkImports(s, &found)
		checkRawCalls(s, &found)
		checkLinkname(s, &found)
		checkSkips(s, &found)
		if !s.isTest() && !s.generated {
			checkLength(s, &found)
		}
		if !s.isTest() && s.isPublic() {
			checkDocs(s, &found)
		}
	}
	checkPackageComments(sources, &found)
	return found
}

func checkImports(s *source, found *findings) {
	row, known := rowOf(s.dir())
	if !known {
		found.add(s, s.ast.Package, "package directory %q is in no layer: add a row to internal/lint/layers_test.go", s.dir())
	}
	s.imports(func(spec *ast.ImportSpec, p, name string) {
		first, _, _ := strings.Cut(p, "/")
		switch {
		case p == "C" || p == "runtime/cgo":
			found.add(s, spec.Pos(), "import %q: the module is Go only, without cgo", p)
		case p == "unsafe":
			if known && !row.unsafe {
				found.add(s, spec.Pos(), "import \"unsafe\": only uring and internal/sys may, so that the rest is safe by construction")
			}
		case name == "." && (p == "syscall" || within(p, xsys)):
			found.add(s, spec.Pos(), "dot import of %q: it hides raw system calls", p)
		case p == module, strings.HasPrefix(p, module+"/"):
			if known && !row.mayImport(p, s.isTest()) {
				found.add(s, spec.Pos(), "import of %s: %s may import only %s, so that imports run downward",
					strings.TrimPrefix(p, module+"/"), row.dir, list(row, s.isTest()))
			}
		case strings.Contains(first, "."):
			checkThirdParty(s, spec, p, row, known, found)
		}
	})
}

func checkThirdParty(s *source, spec *ast.ImportSpec, p string, row layer, known bool, found *findings) {
	ours := slices.ContainsFunc([]string{xsys, xnet, atomic, testify}, func(m string) bool { return within(p, m) })
	switch {
	case !ours:
		found.add(s, spec.Pos(), "import of %s: the library depends on no module but %s, %s and, in tests, %s and %s", p, xsys, atomic, testify, xnet)
	case !s.isTest() && (within(p, testify) || within(p, xnet)):
		found.add(s, spec.Pos(), "import of %s: only tests may, programs that use the library do not need it", p)
	case known && !row.mayImport(p, s.isTest()):
		found.add(s, spec.Pos(), "import of %s: %s may import only %s", p, row.dir, list(row, s.isTest()))
	}
}

func list(row layer, test bool) string {
	allowed := row.may
	if test {
		allowed = append(slices.Clone(allowed), testsMay...)
	}
	if len(allowed) == 0 {
		return "the standard library"
	}
	return strings.Join(allowed, ", ")
}

// checkRawCalls finds system calls made by number. The names are looked for
// wherever they are used, not only where they are called: a function value is
// as raw as a call.
func checkRawCalls(s *source, found *findings) {
	if row, known := rowOf(s.dir()); known && row.unsafe {
		return
	}
	packages := make(map[string]bool)
	s.imports(func(_ *ast.ImportSpec, p, name string) {
		if p == "syscall" || within(p, xsys) {
			packages[name] = true
		}
	})
	if len(packages) == 0 {
		return
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		name := sel.Sel.Name
		if ok && packages[pkg.Name] && (strings.HasPrefix(name, "Syscall") || strings.HasPrefix(name, "RawSyscall")) {
			found.add(s, sel.Pos(), "%s.%s: raw system calls are made only in uring and internal/sys", pkg.Name, name)
		}
		return true
	})
}

func checkLinkname(s *source, found *findings) {
	for _, group := range s.ast.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname") {
				found.add(s, c.Pos(), "go:linkname: it ties the library to one release of Go")
			}
		}
	}
}

// checkSkips finds tests that skip by themselves. What is a test is seen by the
// types of parameters, so methods of ours that are called Skip are left alone.
func checkSkips(s *source, found *findings) {
	if within(s.dir(), "internal/testkit") || !s.importsPath("testing") {
		return
	}
	tests := make(map[string]bool)
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && isTestingType(f.Type) {
			for _, name := range f.Names {
				tests[name.Name] = true
			}
		}
		return true
	})
	ast.Inspect(s.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && tests[x.Name] {
			found.add(s, sel.Pos(), "%s.%s: a test skips by testkit.Skip or testkit.NeedKernel, so that a run can forbid it", x.Name, sel.Sel.Name)
		}
		return true
	})
}

func isTestingType(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "testing" && slices.Contains([]string{"T", "B", "F", "TB"}, sel.Sel.Name)
}

func checkLength(s *source, found *findings) {
	// A token.File knows its lines; the syntax tree ends at the last
	// declaration.
	if n := s.fset.File(s.ast.Package).LineCount(); n > fileLinesMax {
		found.add(s, s.ast.Package, "%d lines: a file has at most %d, so that one can read it in one go", n, fileLinesMax)
	}
	for _, d := range s.ast.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && s.lines(f) > funcLinesMax {
			found.add(s, f.Pos(), "func %s has %d lines: at most %d fit in a head", f.Name.Name, s.lines(f), funcLinesMax)
		}
	}
}

// checkDocs finds exported names without a comment. In a group of constants,
// variables or types the comment of the group is enough.
func checkDocs(s *source, found *findings) {
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && !hasText(d.Doc) && exportedReceiver(d) {
				found.add(s, d.Pos(), "exported func %s has no comment", d.Name.Name)
			}
		case *ast.GenDecl:
			if hasText(d.Doc) || d.Tok == token.IMPORT {
				continue
			}
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() && !hasText(spec.Doc, spec.Comment) {
						found.add(s, spec.Pos(), "exported type %s has no comment", spec.Name.Name)
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if name.IsExported() && !hasText(spec.Doc, spec.Comment) {
							found.add(s, name.Pos(), "exported %s %s has no comment", d.Tok, name.Name)
						}
					}
				}
			}
		}
	}
}

// hasText reports whether one of the comments says something: a directive
// alone does not.
func hasText(groups ...*ast.CommentGroup) bool {
	return slices.ContainsFunc(groups, func(g *ast.CommentGroup) bool { return strings.TrimSpace(g.Text()) != "" })
}

// exportedReceiver reports whether a function is no method, or the method of a
// type that users of the package can name.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.ParenExpr:
			t = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return true
		}
	}
}

// checkPackageComments asks one file of each package for a package comment.
func checkPackageComments(sources []*source, found *findings) {
	type key struct{ dir, name string }
	documented := make(map[key]bool)
	first := make(map[key]*source)
	for _, s := range sources {
		if s.isTest() {
			continue
		}
		k := key{s.dir(), s.ast.Name.Name}
		if hasText(s.ast.Doc) {
			documented[k] = true
		}
		if first[k] == nil {
			first[k] = s
		}
	}
	for k, s := range first {
		if !documented[k] {
			found.add(s, s.ast.Package, "package %s (%s) has no package comment in any file", k.name, path.Clean(k.dir))
		}
	}
}
