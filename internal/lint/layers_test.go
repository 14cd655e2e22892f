package lint

import (
	"slices"
	"strings"
)

// module is the path that the import paths of this module begin with.
const module = "github.com/yamanote-go/yamanote"

// Third-party modules, the only ones the library depends on.
const (
	xsys    = "golang.org/x/sys"
	xnet    = "golang.org/x/net"
	atomic  = "go.uber.org/atomic"
	testify = "github.com/stretchr/testify"
)

// anyLower stands for "every package of this module that has a row above".
const anyLower = "*"

// layer is one row: a directory of the module, with all below it that have no
// row of their own, and what its files may import besides the standard library
// and the row itself.
type layer struct {
	dir    string
	may    []string
	unsafe bool // unsafe and raw system calls are allowed
}

// layers is in the order of the house, lowest first: an entry of may can only
// be a row above. TestTheTableOfLayers checks that.
var layers = []layer{
	{dir: "uring", may: []string{xsys}, unsafe: true},
	{dir: "internal/sys", may: []string{"uring", xsys, atomic}, unsafe: true},
	{dir: "driver", may: []string{"uring", "internal/sys", atomic}},
	{dir: "proactor", may: []string{"driver", "uring", "internal/sys", atomic}},
	{dir: "proactor/debug", may: []string{"proactor", "driver", atomic}},
	{dir: "internal/poll", may: []string{"proactor", "driver", "uring", "internal/sys", atomic}},
	{dir: "net", may: []string{"internal/poll", "internal/sys", "proactor", atomic}},
	{dir: "file", may: []string{"internal/poll", "internal/sys", "proactor", atomic}},
	{dir: "examples", may: []string{anyLower, atomic}},

	// Beside the house: tools and the kits that tests use.
	{dir: "internal/faultring", may: []string{"driver", "uring", "internal/sys"}},
	{dir: "internal/testkit", may: []string{xsys, atomic}},
	{dir: "internal/noring", may: []string{"internal/sys", atomic}},
	{dir: "internal/kernels", may: []string{"uring"}},
	{dir: "internal/parity"},
	{dir: "internal/osparity", may: []string{"file"}},
	{dir: "internal/lint", may: []string{atomic}},
}

// testsMay is what the _test.go files of every package may import as well.
var testsMay = []string{"internal/testkit", "internal/faultring", testify, xnet}

// rowOf returns the row of a directory: the longest that holds it.
func rowOf(dir string) (layer, bool) {
	var best layer
	found := false
	for _, l := range layers {
		if within(dir, l.dir) && (!found || len(l.dir) > len(best.dir)) {
			best, found = l, true
		}
	}
	return best, found
}

// mayImport reports whether the row may import what importPath names.
func (l layer) mayImport(importPath string, test bool) bool {
	target := strings.TrimPrefix(importPath, module+"/")
	if local := target != importPath; local {
		row, ok := rowOf(target)
		if !ok {
			return false
		}
		if row.dir == l.dir {
			return true
		}
		if slices.Contains(l.may, anyLower) && rank(row.dir) < rank(l.dir) {
			return true
		}
		target = row.dir
	}
	allowed := l.may
	if test {
		allowed = append(slices.Clone(allowed), testsMay...)
	}
	return slices.ContainsFunc(allowed, func(a string) bool { return within(target, a) })
}

// rank is the place of a row in the table.
func rank(dir string) int {
	return slices.IndexFunc(layers, func(l layer) bool { return l.dir == dir })
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}
