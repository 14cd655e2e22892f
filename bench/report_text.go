package main

import (
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
)

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// ours reports whether a subject is one of this project's.
func ours(name string) bool { return strings.HasPrefix(name, "yamanote") }

// order sorts the subjects of an outcome: std, ours, then the rest.
func (o outcome) order() []string {
	var names []string
	for name := range o.Samples {
		names = append(names, name)
	}
	rank := func(name string) int {
		switch {
		case name == "std":
			return 0
		case ours(name):
			return 1
		}
		return 2
	}
	sort.Slice(names, func(i, j int) bool {
		if a, b := rank(names[i]), rank(names[j]); a != b {
			return a < b
		}
		return names[i] < names[j]
	})
	return names
}

// values returns a subject's values of a metric.
func (o outcome) values(name string, m metric) []float64 {
	var out []float64
	for _, s := range o.Samples[name] {
		if v, ok := s[m]; ok {
			out = append(out, v)
		}
	}
	return out
}

// columns are what is shown of a cell.
func (c cell) columns() []metric {
	switch c.Kind {
	case echo:
		return []metric{throughput, cpu, p50, p99, syscalls, switches, threads, rss}
	case idle:
		return []metric{cpu, syscalls, switches, threads, rss}
	}
	return []metric{throughput, cpu, syscalls, switches, threads, rss}
}

func (m metric) heading(c cell) string {
	switch m {
	case throughput:
		return c.Kind.unit() + "/s"
	case cpu:
		if c.Kind == idle {
			return "cpu µs"
		}
		return "cpu µs each"
	case p50, p99, p999:
		return string(m) + " µs"
	case syscalls, switches:
		if c.Kind == idle {
			return string(m)
		}
		return string(m) + " each"
	case rss:
		return "MiB"
	}
	return string(m)
}

// number prints a figure with three digits that mean something.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case math.Abs(v) >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// ratio prints the ratio of two subjects, or that it means nothing.
func ratio(s spread) string {
	switch {
	case s.N == 0:
		return "–"
	case s.noisy():
		return fmt.Sprintf("noisy (%.2f–%.2f)", s.Min, s.Max)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Q1, s.Q3)
}

// writeOutcome prints a cell's table and how its bars were met.
func writeOutcome(w io.Writer, o outcome) {
	fmt.Fprintf(w, "\n%s  (load average before: %s)\n", o.Cell.Name, o.Load)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	cols := o.Cell.columns()
	fmt.Fprint(tw, "  \t")
	for _, m := range cols {
		fmt.Fprintf(tw, "%s\t", m.heading(o.Cell))
	}
	fmt.Fprint(tw, "to std\t\n")
	for _, name := range o.order() {
		fmt.Fprintf(tw, "  %s\t", name)
		for _, m := range cols {
			fmt.Fprintf(tw, "%s\t", number(summarize(o.values(name, m)).Median))
		}
		to := "–"
		if name != "std" && o.Cell.Kind != idle {
			to = ratio(summarize(ratios(o.Samples[name], o.Samples["std"], throughput)))
		}
		fmt.Fprintf(tw, "%s\t\n", to)
	}
	_ = tw.Flush()
	for name, err := range o.Errors {
		fmt.Fprintf(w, "  %s failed: %s\n", name, err)
	}
	for _, b := range o.Cell.Bars {
		s := summarize(ratios(o.Samples["yamanote"], o.Samples[b.Against], b.Metric))
		fmt.Fprintf(w, "  bar: %s: %s: %s\n", b, ratio(s), b.judge(s))
	}
}

// writeSummary prints one line for each bar.
func writeSummary(w io.Writer, outcomes []outcome) {
	count := map[verdict]int{}
	for _, o := range outcomes {
		for _, b := range o.Cell.Bars {
			count[b.judge(summarize(ratios(o.Samples["yamanote"], o.Samples[b.Against], b.Metric)))]++
		}
	}
	fmt.Fprintf(w, "\nbars: %d met, %d missed, %d unclear, %d not measured\n",
		count[met], count[missed], count[unclear], count[unknown])
}
