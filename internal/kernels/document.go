package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/yamanote-go/yamanote/uring"
)

const preface = `# Kernels

What each Linux release brought to io_uring, what Yamanote does on a kernel without it, and which tests show that it
behaves as this module believes. Written by ` + "`go generate ./...`" + ` from the tables and the tests of package
` + "`uring`" + `: change those, not this file.

The library needs Linux 5.11 for a ring, and uses the standard library's way on anything older, as it does where
io_uring is forbidden. Package ` + "`uring`" + ` can be used alone with any kernel that has io_uring; it hides nothing, and
leaves what is missing to its caller: ` + "`Ring.Probe`" + ` and ` + "`OpSet.Require`" + ` tell, with the release that is needed.

"Not used" means that the layers above ` + "`uring`" + ` do without the feature on every kernel, so that it makes no
difference to them.
`

// document returns the whole of docs/kernels.md.
func document(root string) ([]byte, error) {
	s, err := read(filepath.Join(root, "uring"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(preface)
	for _, section := range []func(*bytes.Buffer, *source) error{
		operations, registrations, setupFlags, features, enterFlags, entryFlags, operationFlags, checklist,
	} {
		if err := section(&b, s); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// header begins a section with a table.
func header(b *bytes.Buffer, title, text string, columns ...string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| %s |\n|%s\n", title, text, strings.Join(columns, " | "),
		strings.Repeat("---|", len(columns)))
}

func row(b *bytes.Buffer, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// tests returns names of tests for a cell, at most three of them.
func tests(names []string) string {
	const most = 3
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "`" + name + "`"
	}
	return strings.Join(quoted, ", ") + more
}

func operations(b *bytes.Buffer, s *source) error {
	header(b, "Operations",
		"A test of the last column has seen the operation succeed and fail in the running kernel, and fails if it has "+
			"not. Where this cannot be, the reason follows.",
		"operation", "Linux", "result", "completes", "cancelled", "without it the library", "proved by")
	for info := range uring.Ops() {
		name := "IORING_OP_" + info.Name
		proofs := s.proofs[name]
		if len(proofs) == 0 {
			return fmt.Errorf("no test proves %s", name)
		}
		proof := tests(proofs)
		if reason, ok := refused[info.Op]; ok {
			proof += ": " + reason
		}
		row(b, info.Name, info.Since.String(), info.Result.String(), info.Completes.String(),
			info.Cancel.String(), without(name), proof)
	}
	return nil
}

func registrations(b *bytes.Buffer, s *source) error {
	header(b, "Registration calls", "The tests are those that make the call, or call what makes it.",
		"call", "Linux", "without it the library", "tests")
	for op := range uring.IORING_REGISTER_LAST {
		since, _ := op.Since()
		name := "IORING_" + op.String()
		row(b, op.String(), since.String(), without(name), s.cell(name, s.calls(name)))
	}
	return nil
}

// tested returns the tests of a constant for a cell, or why there are none.
func (s *source) tested(constant string) string {
	return s.cell(constant, s.mention(constant))
}

func (s *source) cell(constant string, names []string) string {
	if len(names) > 0 {
		return tests(names)
	}
	if reason, ok := untested[constant]; ok {
		return reason
	}
	return "none of its own"
}

// flagTable writes a section for the constants of a type.
func flagTable(b *bytes.Buffer, s *source, title, text, typ, prefix string) error {
	rows := s.flags[typ]
	if len(rows) == 0 {
		return fmt.Errorf("package uring has no constants of type %s", typ)
	}
	header(b, title, text, "flag", "Linux", "meaning", "without it the library", "tests")
	for _, f := range rows {
		if f.text == "" {
			return fmt.Errorf("%s has no comment beside it", f.name)
		}
		since := f.since
		if since == "" {
			since = "5.1"
		}
		row(b, strings.TrimPrefix(f.name, prefix), since, f.text, without(f.name), s.tested(f.name))
	}
	return nil
}

func setupFlags(b *bytes.Buffer, s *source) error {
	return flagTable(b, s, "Setup flags", "The driver asks for the best and leaves out the newest for as long as the kernel "+
		"answers EINVAL.", "SetupFlags", "IORING_SETUP_")
}

func features(b *bytes.Buffer, s *source) error {
	return flagTable(b, s, "Features", "What a kernel reports when a ring is made.", "Features", "IORING_FEAT_")
}

func enterFlags(b *bytes.Buffer, s *source) error {
	return flagTable(b, s, "Flags of enter", "What one call to io_uring_enter does.", "EnterFlags", "IORING_ENTER_")
}

func entryFlags(b *bytes.Buffer, s *source) error {
	return flagTable(b, s, "Flags of entries", "Where the file of a request comes from, how it is ordered, and how it completes.", "SQEFlags", "IOSQE_")
}

// operationTypes are the types of the flags of single operations.
var operationTypes = []string{
	"NopFlags", "FsyncFlags", "PollFlags", "TimeoutFlags", "CancelFlags", "RecvSendFlags", "AcceptFlags",
	"MsgRingFlags", "MsgRingCmd", "InstallFDFlags", "SpliceFlags", "UringCmdFlags", "SocketOp", "PbufFlags", "CQEFlags",
}

func operationFlags(b *bytes.Buffer, s *source) error {
	header(b, "Flags of single operations and of completions",
		"Without a release they are as old as the operation, or the documentation of the kernel gives none.",
		"flag", "Linux", "meaning", "tests")
	for _, typ := range operationTypes {
		rows := s.flags[typ]
		if len(rows) == 0 {
			return fmt.Errorf("package uring has no constants of type %s", typ)
		}
		for _, f := range rows {
			row(b, f.name, f.since, f.text, s.tested(f.name))
		}
	}
	return nil
}

func checklist(b *bytes.Buffer, s *source) error {
	header(b, "Behaviours",
		"The tests of liburing, the C library that is made together with the kernel, as a checklist by theme: what of it is "+
			"tested here, and what is not.",
		"theme", "tested by", "left out, and why")
	for _, theme := range themes {
		for _, name := range theme.tests {
			if !s.tests[name] {
				return fmt.Errorf("theme %q names a test that there is not: %s", theme.name, name)
			}
		}
		quoted := make([]string, len(theme.tests))
		for i, name := range theme.tests {
			quoted[i] = "`" + name + "`"
		}
		row(b, theme.name, strings.Join(quoted, ", "), theme.left)
	}
	return nil
}
