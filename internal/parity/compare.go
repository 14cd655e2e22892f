package main

import (
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// comparison finds what a program written for one package would miss in
// another.
type comparison struct {
	std, ours *types.Package
	found     []finding
}

// finding is one difference.
type finding struct {
	name string // of what differs, a method or field behind its type and a dot
	what string
}

func (f finding) String() string { return f.name + ": " + f.what }

// compare returns how ours differs from std, sorted by name: names that it
// lacks, and those of another kind, type or value. A type of ours of the same
// name takes the place of the standard library's everywhere. What only ours has
// is no difference.
func compare(std, ours *types.Package) []finding {
	c := &comparison{std: std, ours: ours}
	for _, name := range std.Scope().Names() {
		if token.IsExported(name) {
			c.object(name)
		}
	}
	slices.SortFunc(c.found, func(a, b finding) int { return strings.Compare(a.name, b.name) })
	return c.found
}

func (c *comparison) add(name, format string, args ...any) {
	c.found = append(c.found, finding{name, fmt.Sprintf(format, args...)})
}

// object compares what one name stands for.
func (c *comparison) object(name string) {
	want, got := c.std.Scope().Lookup(name), c.ours.Scope().Lookup(name)
	if got == nil {
		c.add(name, "missing, a %s of the standard library", kind(want))
		return
	}
	if kind(want) != kind(got) {
		c.add(name, "a %s where the standard library has a %s", kind(got), kind(want))
		return
	}
	switch want := want.(type) {
	case *types.TypeName:
		c.typeName(want, got.(*types.TypeName))
	case *types.Const:
		if !constant.Compare(want.Val(), token.EQL, got.(*types.Const).Val()) {
			c.add(name, "%v instead of %v", got.(*types.Const).Val(), want.Val())
		}
		c.typeOf(name, want.Type(), got.Type())
	default:
		c.typeOf(name, want.Type(), got.Type())
	}
}

func kind(obj types.Object) string {
	switch obj.(type) {
	case *types.TypeName:
		return "type"
	case *types.Const:
		return "constant"
	case *types.Var:
		return "variable"
	}
	return "function"
}

// typeName compares two types of one name. One that is the standard library's
// own has nothing to be compared.
func (c *comparison) typeName(want, got *types.TypeName) {
	if types.Identical(want.Type(), got.Type()) {
		return
	}
	if p := got.Type().(interface{ Obj() *types.TypeName }).Obj().Pkg(); p != c.ours {
		c.add(want.Name(), "a type of package %s", p.Path())
		return
	}
	if reason := c.underlying(want.Type().Underlying(), got.Type().Underlying()); reason != "" {
		c.add(want.Name(), "%s", reason)
	}
	c.fields(want, got)
	c.methods(want, got)
}

// underlying says why a literal or a conversion that is written for one type
// would not compile for the other. Fields are not its business.
func (c *comparison) underlying(want, got types.Type) string {
	_, struct1 := want.(*types.Struct)
	_, struct2 := got.(*types.Struct)
	if struct1 && struct2 || c.same(want, got) {
		return ""
	}
	return fmt.Sprintf("made of %s instead of %s", got, want)
}

// fields compares the exported fields.
func (c *comparison) fields(want, got *types.TypeName) {
	s, ok := want.Type().Underlying().(*types.Struct)
	if !ok {
		return
	}
	for field := range s.Fields() {
		if !field.Exported() {
			continue
		}
		name := want.Name() + "." + field.Name()
		obj, _, _ := types.LookupFieldOrMethod(got.Type(), true, c.ours, field.Name())
		if v, ok := obj.(*types.Var); ok {
			c.typeOf(name, field.Type(), v.Type())
		} else {
			c.add(name, "missing, a field of the standard library's type")
		}
	}
}

// methods compares the method sets, of the type and of pointers to it.
func (c *comparison) methods(want, got *types.TypeName) {
	if types.IsInterface(want.Type()) {
		return // what it is made of has been compared
	}
	values := types.NewMethodSet(got.Type())
	pointers := types.NewMethodSet(types.NewPointer(got.Type()))
	wantValues := types.NewMethodSet(want.Type())
	for selection := range types.NewMethodSet(types.NewPointer(want.Type())).Methods() {
		fn := selection.Obj()
		if !fn.Exported() {
			continue
		}
		name := want.Name() + "." + fn.Name()
		mine := pointers.Lookup(c.ours, fn.Name())
		if mine == nil {
			c.add(name, "missing, a method of the standard library's type")
			continue
		}
		if wantValues.Lookup(c.std, fn.Name()) != nil && values.Lookup(c.ours, fn.Name()) == nil {
			c.add(name, "a method of pointers only")
		}
		c.typeOf(name, fn.Type(), mine.Obj().Type())
	}
}

// typeOf compares the types of two things of one name.
func (c *comparison) typeOf(name string, want, got types.Type) {
	if !c.same(want, got) {
		c.add(name, "%s instead of %s", got, want)
	}
}

// same reports whether two types are identical for a program that has changed
// its import from the one package to the other.
func (c *comparison) same(want, got types.Type) bool {
	want, got = types.Unalias(want), types.Unalias(got)
	if types.Identical(want, got) {
		n, ok := want.(*types.Named)
		return !ok || !c.replaced(n)
	}
	switch want := want.(type) {
	case *types.Named:
		n, ok := got.(*types.Named)
		return ok && c.replaced(want) && n.Obj() == c.ours.Scope().Lookup(want.Obj().Name())
	case *types.Pointer:
		p, ok := got.(*types.Pointer)
		return ok && c.same(want.Elem(), p.Elem())
	case *types.Slice:
		s, ok := got.(*types.Slice)
		return ok && c.same(want.Elem(), s.Elem())
	case *types.Array:
		a, ok := got.(*types.Array)
		return ok && a.Len() == want.Len() && c.same(want.Elem(), a.Elem())
	case *types.Chan:
		ch, ok := got.(*types.Chan)
		return ok && ch.Dir() == want.Dir() && c.same(want.Elem(), ch.Elem())
	case *types.Map:
		m, ok := got.(*types.Map)
		return ok && c.same(want.Key(), m.Key()) && c.same(want.Elem(), m.Elem())
	case *types.Signature:
		s, ok := got.(*types.Signature)
		return ok && s.Variadic() == want.Variadic() &&
			c.sameAll(want.Params(), s.Params()) && c.sameAll(want.Results(), s.Results())
	case *types.Interface:
		i, ok := got.(*types.Interface)
		return ok && c.sameMethods(want, i)
	}
	return false
}

// replaced reports whether a type is one of the standard library's that ours
// has another type for.
func (c *comparison) replaced(n *types.Named) bool {
	if n.Obj().Pkg() != c.std {
		return false
	}
	mine := c.ours.Scope().Lookup(n.Obj().Name())
	return mine != nil && !types.Identical(mine.Type(), n)
}

func (c *comparison) sameAll(want, got *types.Tuple) bool {
	if want.Len() != got.Len() {
		return false
	}
	for i := range want.Len() {
		if !c.same(want.At(i).Type(), got.At(i).Type()) {
			return false
		}
	}
	return true
}

// sameMethods compares interfaces, whose methods are in the order of their
// names.
func (c *comparison) sameMethods(want, got *types.Interface) bool {
	if want.NumMethods() != got.NumMethods() {
		return false
	}
	for i := range want.NumMethods() {
		a, b := want.Method(i), got.Method(i)
		if a.Name() != b.Name() || !c.same(a.Type(), b.Type()) {
			return false
		}
	}
	return true
}
