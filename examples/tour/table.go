package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// lineWidth is what the output fits into.
const lineWidth = 92

// columns are the headings of every table and the widths of what stands below.
var columns = []struct {
	heading string
	width   int
}{
	{"", 8}, {"operations/s", 14}, {"processor/op", 14}, {"syscalls/op", 13}, {"threads", 9}, {"p50", 10}, {"p99", 10},
}

// row prints cells, aligned to the right except for the first.
func row(w io.Writer, cells ...string) {
	var b strings.Builder
	for i, cell := range cells {
		if i == 0 {
			fmt.Fprintf(&b, "  %-*s", columns[i].width, cell)
		} else {
			fmt.Fprintf(&b, "%*s", columns[i].width, cell)
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// heading begins a part of the tour.
func (t *tour) heading(title, text string) {
	t.show("")
	text += " Threads and processor time are those of the process that is measured."
	switch {
	case t.strace:
		text += " System calls are counted by strace in a round of their own, which it slows down."
	case len(t.backends) > 1:
		text += " System calls are counted by the ring; nobody counts the standard library's."
	}
	fmt.Fprintf(t.out, "\n── %s %s\n%s\n", title, strings.Repeat("─", lineWidth-4-len(title)), wrap(text, lineWidth))
}

// print prints the table of a workload.
func (o *outcome) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", o.workload.title)
	var headings []string
	for _, c := range columns {
		headings = append(headings, c.heading)
	}
	fields := []func(sample) float64{
		func(s sample) float64 { return s.rate },
		func(s sample) float64 { return s.cpu },
		func(s sample) float64 { return s.calls },
		func(s sample) float64 { return s.threads },
		func(s sample) float64 { return s.p50 },
		func(s sample) float64 { return s.p99 },
	}
	formats := []func(float64) string{thousands, nanoseconds, decimals, thousands, nanoseconds, nanoseconds}
	if o.workload.kind == "file" {
		// A goroutine that waits for a processor before it can even begin to
		// read does not count there, so that these would tell little.
		headings, fields = headings[:5], fields[:4]
	}
	row(w, headings...)
	values := make([][]float64, len(o.backends))
	for i, name := range o.backends {
		cells := []string{name}
		for j, f := range fields {
			v := o.median(i, f)
			if j == 2 && !math.IsNaN(o.straced[i]) {
				v = o.straced[i]
			}
			values[i] = append(values[i], v)
			cells = append(cells, formats[j](v))
		}
		row(w, cells...)
	}
	if len(values) == 2 {
		cells := []string{"ring/std"}
		for j := range fields {
			cells = append(cells, decimals(values[1][j]/values[0][j]))
		}
		cells[1] = decimals(median(o.ratios()))
		row(w, cells...)
	}
	fmt.Fprintln(w, indent(wrap(o.explanation(), lineWidth-2)))
}

// explanation is the text below a table.
func (o *outcome) explanation() string {
	text := o.workload.what
	if len(o.backends) < 2 {
		return text
	}
	all := o.ratios()
	span := fmt.Sprintf("%s to %s times std's operations in a round", decimals(all[0]), decimals(all[len(all)-1]))
	switch o.verdict() {
	case ringAhead:
		text += " The ring is ahead: it did " + span + "."
	case stdAhead:
		text += " The standard library is ahead: the ring did " + span + "."
	default:
		text += " Undecided: the ring did " + span + "."
	}
	if counted := o.median(1, func(s sample) float64 { return s.calls }); !math.IsNaN(o.straced[1]) && !math.IsNaN(counted) {
		text += fmt.Sprintf(" By the ring's own counters it made %s system calls per operation.", decimals(counted))
	}
	return text
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// summary prints the last three lines, and before them what they stand on.
func (t *tour) summary(took time.Duration) {
	fmt.Fprintf(t.out, "\n── Summary %s\n", strings.Repeat("─", lineWidth-11))
	for _, s := range t.skipped {
		fmt.Fprintf(t.out, "%s\n", wrap("Not measured: "+s+".", lineWidth))
	}
	text := fmt.Sprintf("Medians of %s of %v, %.0f s in all, with load and server on the same %s: your own program, on your own machine, is what counts.",
		plural(t.rounds, "round"), t.round, took.Seconds(), plural(runtime.NumCPU(), "processor"))
	if len(t.backends) > 1 {
		text += " The numbers are how many times the standard library's operations the ring has done, the median over pairs of rounds."
	}
	fmt.Fprintln(t.out, wrap(text, lineWidth))
	fmt.Fprintln(t.out)
	if len(t.backends) < 2 {
		fmt.Fprintln(t.out, "There is no ring here, so these are the standard library's figures only.")
		fmt.Fprintln(t.out, "The top of this report says why, and what can be done about it.")
		fmt.Fprintln(t.out, "Programs run all the same: without a ring the library's packages stand on the standard library.")
		return
	}
	names := make([][]string, 3)
	for _, o := range t.outcomes {
		v := o.verdict()
		names[v] = append(names[v], fmt.Sprintf("%s (%s)", o.workload.short, decimals(median(o.ratios()))))
	}
	fmt.Fprintf(t.out, "ring ahead              %s\n", list(names[ringAhead]))
	fmt.Fprintf(t.out, "standard library ahead  %s\n", list(names[stdAhead]))
	fmt.Fprintf(t.out, "undecided               %s\n", list(names[undecided]))
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

const unknown = "–"

// decimals formats a number with three significant digits or so.
func decimals(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v >= 100:
		return thousands(v)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v < 0.01 && v > 0:
		return strconv.FormatFloat(v, 'f', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// thousands formats a whole number in groups of three digits.
func thousands(v float64) string {
	if math.IsNaN(v) || v == 0 {
		return unknown
	}
	digits := strconv.FormatInt(int64(math.Round(v)), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// nanoseconds formats a duration in the unit that suits it.
func nanoseconds(v float64) string {
	switch {
	case math.IsNaN(v) || v == 0:
		return unknown
	case v < 1e3:
		return fmt.Sprintf("%.0f ns", v)
	case v < 1e6:
		return decimals(v/1e3) + " µs"
	case v < 1e9:
		return decimals(v/1e6) + " ms"
	}
	return decimals(v/1e9) + " s"
}
