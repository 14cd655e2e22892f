package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	lineWidth = 100
	termWidth = 15
)

// print writes the report for people: the answer first, details if verbose.
func (r *Report) print(w io.Writer, verbose bool) {
	answer := "no"
	if r.Ring.Allowed {
		answer = "yes"
	}
	fmt.Fprintf(w, "io_uring for this process: %s\n\n", answer)
	if !r.Ring.Allowed {
		reason := r.Ring.Cause
		if reason == "" {
			reason = r.Ring.Error
		}
		item(w, "because", reason)
		if r.Ring.Remedy != "" {
			item(w, "remedy", r.Ring.Remedy)
		}
	}
	system := fmt.Sprintf("%s/%s, %d processors, %s", r.System.OS, r.System.Arch, r.System.Processors, r.System.Go)
	if r.System.Kernel != "" {
		system = "kernel " + r.System.Kernel + ", " + system
	}
	item(w, "system", system)
	if text := r.Forbidden.text(); text != "" {
		item(w, "rules", text)
	}
	item(w, "limits", r.Limits.text(r.Forbidden.Lock))
	if r.Kernel != nil {
		r.Kernel.print(w, verbose)
	}
	if len(r.ToDo) > 0 {
		fmt.Fprintf(w, "\nWhat to do\n\n")
	}
	for i, h := range r.ToDo {
		item(w, fmt.Sprintf("%d.", i+1), h.Do+": "+h.Why)
	}
}

func (rules Rules) text() string {
	var parts []string
	switch d := rules.Disabled; {
	case d == nil:
	case *d == 0:
		parts = append(parts, "sysctl kernel.io_uring_disabled is 0 (everybody may)")
	case *d == 1:
		text := "sysctl kernel.io_uring_disabled is 1 (CAP_SYS_ADMIN or a group only)"
		if g := rules.Group; g != nil && *g >= 0 {
			text += fmt.Sprintf(", the group is %d", *g)
		}
		parts = append(parts, text)
	default:
		parts = append(parts, fmt.Sprintf("sysctl kernel.io_uring_disabled is %d (nobody may)", *d))
	}
	if rules.Seccomp != "" {
		parts = append(parts, "seccomp is "+rules.Seccomp)
	}
	return strings.Join(parts, "; ")
}

func (l Limits) text(lock *bool) string {
	text := fmt.Sprintf("%d submission and %d completion entries per ring", l.SubmissionEntries, l.CompletionEntries)
	if f := l.OpenFiles; f != nil {
		text += fmt.Sprintf("; %s open files (at most %s)", count(f.Soft), count(f.Hard))
	}
	if m := l.LockedMemory; m != nil {
		text += fmt.Sprintf("; %s of locked memory (at most %s)", size(m.Soft), size(m.Hard))
	}
	if lock != nil && *lock {
		text += ", which does not bind this process, as it has CAP_IPC_LOCK"
	}
	return text
}

// section is one list of a Kernel.
type section struct {
	term, title string
	items       []Item
}

func (k *Kernel) sections() []section {
	return []section{
		{"operations", "Operations", k.Operations},
		{"registration", "Registration calls", k.Registrations},
		{"setup flags", "Setup flags", k.SetupFlags},
		{"enter flags", "Enter flags", k.EnterFlags},
		{"entry flags", "Flags of a submission entry", k.EntryFlags},
		{"features", "Features", k.Features},
	}
}

func (k *Kernel) print(w io.Writer, verbose bool) {
	fmt.Fprintln(w)
	for _, s := range k.sections() {
		item(w, s.term, s.summary())
	}
	if !verbose {
		return
	}
	for _, s := range k.sections() {
		fmt.Fprintf(w, "\n%s\n\n", s.title)
		for _, i := range s.items {
			fmt.Fprintf(w, "  %-28s since Linux %-5s  %s\n", i.Name, i.Since, i.mark())
		}
	}
}

// summary counts what is there and names what is not.
func (s section) summary() string {
	has, unknown := 0, 0
	missing := map[string][]string{}
	for _, i := range s.items {
		switch {
		case i.Has == nil:
			unknown++
		case *i.Has:
			has++
		default:
			missing[i.Since] = append(missing[i.Since], i.Name)
		}
	}
	if unknown == len(s.items) {
		return "not known: the kernel tells since Linux 6.18"
	}
	text := fmt.Sprintf("%d of %d", has, len(s.items))
	if unknown > 0 {
		text += fmt.Sprintf(", %d not known", unknown)
	}
	var parts []string
	for _, i := range s.items {
		if names := missing[i.Since]; len(names) > 0 {
			parts = append(parts, strings.Join(names, ", ")+" (Linux "+i.Since+")")
			delete(missing, i.Since)
		}
	}
	if len(parts) > 0 {
		text += "; not " + strings.Join(parts, ", ")
	}
	return text
}

func (i Item) mark() string {
	switch {
	case i.Has == nil:
		return "?"
	case *i.Has:
		return "yes"
	}
	return "no"
}

func count(n int64) string {
	if n < 0 {
		return "any number"
	}
	return fmt.Sprint(n)
}

// size prints bytes in the largest unit that they are a multiple of.
func size(n int64) string {
	if n < 0 {
		return "any amount"
	}
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	unit := 0
	for n != 0 && n%1024 == 0 && unit < len(units)-1 {
		n /= 1024
		unit++
	}
	return fmt.Sprintf("%d %s", n, units[unit])
}

// item prints a term and its text, wrapped.
func item(w io.Writer, term, text string) {
	for _, line := range wrap(text, lineWidth-termWidth) {
		fmt.Fprintf(w, "  %-*s%s\n", termWidth-2, term, line)
		term = ""
	}
}

// wrap breaks a text at spaces into lines of at most width characters, as far as
// its words allow.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return slices.Concat(lines, []string{line})
}
