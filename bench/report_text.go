//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// progress shows what is going on: in one line that changes on a terminal, in
// a line for each cell elsewhere.
type progress struct {
	out   *os.File
	tty   bool
	start time.Time
	total time.Duration // as estimated
	done  time.Duration // of it
	cell  string
	n, of int
}

func newProgress(out *os.File, cells int, total time.Duration) *progress {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return &progress{out: out, tty: err == nil, start: time.Now(), total: total, of: cells}
}

// show says what is being done in a cell.
func (p *progress) show(cell, what string) {
	if p == nil {
		return
	}
	first := cell != p.cell
	if first {
		p.cell = cell
		p.n++
	}
	left := max(0, p.total-p.done).Round(time.Second)
	line := fmt.Sprintf("[%d/%d, about %v left] %s", p.n, p.of, left, cell)
	switch {
	case p.tty:
		fmt.Fprintf(p.out, "\r\x1b[K%s: %s", line, what)
	case first:
		fmt.Fprintln(p.out, line)
	}
}

// clear makes room for other lines.
func (p *progress) clear() {
	if p != nil && p.tty {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// table writes rows with their columns aligned: the first to the left, the
// others to the right.
func table(out io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString("  " + cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// write writes what was found out in a cell.
func (c *CellReport) write(out io.Writer) {
	fmt.Fprintf(out, "\n%s  (load average %s to %s", c.Name, c.Load, c.LoadEnd)
	if c.Rate > 0 {
		fmt.Fprintf(out, ", %s %s/s", bigNumber(c.Rate), c.Unit)
	}
	fmt.Fprintln(out, ")")
	if c.Skipped != "" {
		fmt.Fprintf(out, "  skipped: %s\n", c.Skipped)
		return
	}
	if c.Kind == kindIdle {
		c.writeIdle(out)
	} else {
		c.writeBusy(out)
	}
	for _, s := range c.Subjects {
		for _, text := range c.remarks(s) {
			fmt.Fprintf(out, "  ! %s: %s\n", s.Name, text)
		}
		for _, b := range s.Bars {
			fmt.Fprintf(out, "  %s: %v\n", s.Name, b)
		}
	}
	for _, s := range c.Subjects {
		if s.Calls != nil {
			fmt.Fprintf(out, "  %s: strace: %s\n", s.Name, showCalls(s.Calls))
		}
	}
	c.writeProfile(out)
}

// absent returns the row of a subject that has no samples, or nil.
func (s *SubjectReport) absent() []string {
	switch {
	case s.Missing != "":
		return []string{s.Name, s.Missing}
	case s.Error != "":
		return []string{s.Name, "failed: " + s.Error}
	case len(s.Samples) == 0:
		return []string{s.Name, "not run"}
	}
	return nil
}

func (c *CellReport) writeBusy(out io.Writer) {
	to := "/" + base(c.Kind)
	rows := [][]string{{"subject", c.Unit + "/s", to, "CPU µs", "per CPU s " + to, "p50", "p99", "p99.9",
		"switches", "ring calls", "busy", "load busy", "threads", "RSS"}}
	var apart [][]string
	for _, s := range c.Subjects {
		if row := s.absent(); row != nil {
			apart = append(apart, row)
			continue
		}
		med := s.median
		row := []string{
			s.Name,
			bigNumber(med(func(a Sample) float64 { return a.Throughput })),
			s.Ratios[mThroughput].String(),
			fmt.Sprintf("%.2f", med(func(a Sample) float64 { return a.CPU })),
			s.Ratios[mPerCPU].String(),
			latency(med(func(a Sample) float64 { return float64(a.Latency.P50) })),
			latency(med(func(a Sample) float64 { return float64(a.Latency.P99) })),
			latency(med(func(a Sample) float64 { return float64(a.Latency.P999) })),
			perOp(med(func(a Sample) float64 { return a.Vol + a.Invol })),
			perOp(med(func(a Sample) float64 { return a.Syscalls })),
			fmt.Sprintf("%.2f", med(func(a Sample) float64 { return a.Busy })),
			part(med(func(a Sample) float64 { return a.LoadBusy })),
			fmt.Sprintf("%.0f", med(func(a Sample) float64 { return float64(a.Threads) })),
			bytesName(med(func(a Sample) float64 { return float64(a.RSS) })),
		}
		rows = append(rows, row)
	}
	table(out, rows)
	for _, row := range apart {
		fmt.Fprintf(out, "  %s: %s\n", row[0], row[1])
	}
}

func (c *CellReport) writeIdle(out io.Writer) {
	rows := [][]string{{"subject", "CPU µs", "vol. sw.", "invol.", "ring calls", "threads", "RSS", "per connection"}}
	var apart [][]string
	for _, s := range c.Subjects {
		if row := s.absent(); row != nil {
			apart = append(apart, row)
			continue
		}
		a := s.Samples[0]
		calls := "–"
		if a.Syscalls >= 0 {
			calls = fmt.Sprint(a.Syscalls)
		}
		rows = append(rows, []string{s.Name, fmt.Sprint(a.CPUTotal.Microseconds()), fmt.Sprint(a.Vol), fmt.Sprint(a.Invol),
			calls, fmt.Sprint(a.Threads), bytesName(float64(a.RSS)), bytesName(a.MemPerConn)})
	}
	table(out, rows)
	for _, row := range apart {
		fmt.Fprintf(out, "  %s: %s\n", row[0], row[1])
	}
}

func bigNumber(x float64) string {
	switch {
	case x < 0:
		return "–"
	case x >= 1e6:
		return fmt.Sprintf("%.3gM", x/1e6)
	case x >= 1e3:
		return fmt.Sprintf("%.3gk", x/1e3)
	}
	return fmt.Sprintf("%.3g", x)
}

// latency shows a number of nanoseconds.
func latency(ns float64) string {
	switch {
	case ns <= 0:
		return "–"
	case ns >= 1e9:
		return fmt.Sprintf("%.3gs", ns/1e9)
	case ns >= 1e6:
		return fmt.Sprintf("%.3gms", ns/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%.3gµs", ns/1e3)
	}
	return fmt.Sprintf("%.0fns", ns)
}

// part shows a part of a processor, none for what has no load generator.
func part(x float64) string {
	if x <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

func perOp(x float64) string {
	if x < 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f", x)
}

func bytesName(x float64) string {
	switch {
	case x <= 0:
		return "–"
	case x >= mib:
		return fmt.Sprintf("%.1fMiB", x/mib)
	case x >= kib:
		return fmt.Sprintf("%.1fKiB", x/kib)
	}
	return fmt.Sprintf("%.0fB", x)
}

// writeEnv writes where the run is made.
func (r *Report) writeEnv(out io.Writer) {
	e := r.Env
	fmt.Fprintf(out, "%s\n%s, %d cores, Linux %s, %s, GOMAXPROCS %d, commit %s, load average %s\n"+
		"load: %s; temporary files on %s, RLIMIT_NOFILE %d, %d rounds, seed %d\n",
		e.Command, e.CPU, e.Cores, e.Kernel, e.GoVersion, e.GOMAXPROCS, e.Commit, e.Load,
		e.LoadGenerator, e.FileSystem, e.Files, r.Rounds, r.Seed)
}

// wrong lists the subjects whose data were wrong, and says whether there are
// any.
func (r *Report) wrong(out io.Writer) bool {
	found := false
	for _, c := range r.Cells {
		for _, s := range c.Subjects {
			if s.Wrong {
				fmt.Fprintf(out, "%s: %s: %s\n", c.Name, s.Name, s.Error)
				found = true
			}
		}
	}
	return found
}

// writeBars writes each bar with what was made of it.
func (r *Report) writeBars(out io.Writer) {
	counts := make(map[verdict]int)
	fmt.Fprintf(out, "\nbars, for %s\n", ourName)
	var rows [][]string
	last := ""
	for _, b := range r.barRows() {
		counts[b.Verdict]++
		work := b.Work
		if work == last {
			work = ""
		}
		last = b.Work
		what := string(b.Metric)
		if b.To != "" {
			what += " / " + b.To
		}
		value := ""
		switch b.Verdict {
		case undecided:
			value = b.Value.String()
		case met, missed:
			value = b.value()
		case notMeasured:
			continue
		}
		rows = append(rows, []string{work, b.Cell, what, b.Want, value, string(b.Verdict)})
	}
	table(out, rows)
	fmt.Fprintf(out, "%d met, %d missed, %d noisy, %d not measured, in %v\n",
		counts[met], counts[missed], counts[undecided], counts[notMeasured], r.Took.Round(time.Second))
}
