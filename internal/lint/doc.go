// Package lint has no code, only tests: the rules of this module that a
// compiler does not know. They parse every file of the module, whatever system
// or architecture it is for, and a broken rule is a failed test that names the
// file, the line and the reason.
//
// The layers and what each may import are the table in layers_test.go; a new
// package needs a row there.
package lint
