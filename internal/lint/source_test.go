package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed file of the module.
type source struct {
	path      string // from the root of the module, with slashes
	fset      *token.FileSet
	ast       *ast.File
	generated bool
}

func parse(path string, content []byte) (*source, error) {
	s := &source{path: path, fset: token.NewFileSet()}
	var err error
	s.ast, err = parser.ParseFile(s.fset, path, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s.generated = ast.IsGenerated(s.ast)
	return s, nil
}

func (s *source) dir() string  { return path.Dir(s.path) }
func (s *source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) isMain() bool { return s.ast.Name.Name == "main" }
func (s *source) isPublic() bool {
	return !s.isMain() && !slices.Contains(strings.Split(s.dir(), "/"), "internal")
}

// lines returns how many lines of the file n spans.
func (s *source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// imports calls f for each import with its path and the name it has here.
func (s *source) imports(f func(spec *ast.ImportSpec, importPath, name string)) {
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		f(spec, p, name)
	}
}

// importsPath reports whether the file imports exactly that package.
func (s *source) importsPath(want string) bool {
	found := false
	s.imports(func(_ *ast.ImportSpec, p, _ string) { found = found || p == want })
	return found
}

// finding is one broken rule.
type finding struct {
	path string
	line int
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text) }

// findings collects what is wrong with a set of files.
type findings []finding

func (fs *findings) add(s *source, pos token.Pos, format string, args ...any) {
	*fs = append(*fs, finding{s.path, s.fset.Position(pos).Line, fmt.Sprintf(format, args...)})
}

// moduleRoot returns the directory of the go.mod that the tests run under.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}

// walk returns the Go files of the module and the names of the files that
// would make it more than Go.
func walk(root string) (sources []*source, foreign []string, err error) {
	err = filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && outside(full, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		switch path.Ext(rel) {
		case ".go":
			content, err := os.ReadFile(full)
			if err != nil {
				return err
			}
			s, err := parse(rel, content)
			if err != nil {
				return err
			}
			sources = append(sources, s)
		case ".c", ".cc", ".cpp", ".h", ".hh", ".s", ".S", ".syso", ".a", ".so":
			foreign = append(foreign, rel)
		}
		return nil
	})
	return sources, foreign, err
}

// outside reports whether a directory is none of this module's packages.
func outside(full, name string) bool {
	if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(full, "go.mod"))
	return err == nil
}
