package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// group is how many files are read before what was found in them is printed:
// files are read in any order, and printed in that of their names.
const group = 256

// scan looks for a pattern.
type scan struct {
	rt             *proactor.Runtime
	re             *regexp.Regexp
	names, numbers bool
	out, errs      io.Writer

	found, failed bool
}

// run scans all paths. What cannot be read is told, and does not stop it.
func (s *scan) run(ctx context.Context, paths []string) error {
	out := bufio.NewWriterSize(s.out, 64<<10)
	var names []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				s.complain(err)
				return nil
			case d.IsDir() || !d.Type().IsRegular() && name != path:
				return nil // a link, or what would be waited for
			}
			if names = append(names, name); len(names) == group {
				err = s.files(ctx, names, out)
				names = names[:0]
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := s.files(ctx, names, out); err != nil {
		return err
	}
	return out.Flush()
}

func (s *scan) complain(err error) {
	s.failed = true
	fmt.Fprintf(s.errs, "grep: %v\n", err)
}

// files scans some files and prints what was found.
func (s *scan) files(ctx context.Context, names []string, out *bufio.Writer) error {
	lines := make([][]byte, len(names))
	errs := make([]error, len(names))
	for f, err := range (file.BatchConfig{Runtime: s.rt}).ReadFiles(ctx, slices.Values(names)) {
		switch {
		case f.Index < 0:
			return err // of the context
		case err != nil:
			errs[f.Index] = err
		default:
			lines[f.Index] = s.file(f.Name, f.Data)
		}
	}
	for i := range names {
		if errs[i] != nil {
			s.complain(errs[i])
		}
		if _, err := out.Write(lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// file returns what is to be printed of a file.
func (s *scan) file(name string, content []byte) (text []byte) {
	binary := bytes.IndexByte(content[:min(len(content), 8192)], 0) >= 0
	number, counted := 1, 0
	for begin := 0; begin < len(content); {
		line, end, ok := s.next(content, begin)
		if !ok {
			break
		}
		s.found = true
		switch {
		case s.names:
			return fmt.Appendln(nil, name)
		case binary:
			return fmt.Appendf(nil, "%s: binary file matches\n", name)
		}
		text = append(append(text, name...), ':')
		if s.numbers {
			number += bytes.Count(content[counted:line], []byte{'\n'})
			counted = line
			text = fmt.Appendf(text, "%d:", number)
		}
		text = append(append(text, bytes.TrimSuffix(content[line:end], []byte{'\r'})...), '\n')
		begin = end + 1
	}
	return text
}

// next returns where the next line that matches begins and ends, from the line
// at begin on.
func (s *scan) next(content []byte, begin int) (line, end int, ok bool) {
	for line = begin; line < len(content); line = end + 1 {
		end = len(content)
		if i := bytes.IndexByte(content[line:], '\n'); i >= 0 {
			end = line + i
		}
		// An end of two bytes, as on Windows, is none of the line.
		if s.re.Match(bytes.TrimSuffix(content[line:end], []byte{'\r'})) {
			return line, end, true
		}
	}
	return 0, 0, false
}
