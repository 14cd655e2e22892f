//go:build linux

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageTemplate string

// pageData is what the page shows.
type pageData struct {
	*Report
	Figures  []figure
	Dots     template.HTML
	Leads    []template.HTML
	Bars     []pageWork
	Sections []section
	Heat     heat
	Tables   string
	Took     time.Duration
}

type figure struct{ Value, Text string }

// pageWork is a row of the table of bars: a sort of work with its bars.
type pageWork struct {
	Work              string
	Met, Missed, Open int
	Bars              []pageBar
}

type pageBar struct {
	Cell, What, Want, Value, Class string
	Gauge                          template.HTML
}

type section struct {
	Title, Text string
	Plots       []template.HTML
}

// heat is the table of all ratios.
type heat struct {
	Names []string
	Rows  []heatRow
}

type heatRow struct {
	Cell   string
	Values []heatCell
}

type heatCell struct {
	Text, Class string
	Style       template.CSS
}

// page returns the report as a page that needs nothing else.
func (r *Report) page() ([]byte, error) {
	t, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	data := pageData{Report: r, Bars: r.pageBars(), Sections: r.sections(), Heat: r.heat(), Took: r.Took.Round(time.Second)}
	data.Figures = r.figures()
	data.Leads = r.leads()
	data.Dots = template.HTML(r.dots())
	var tables strings.Builder
	for _, c := range r.Cells {
		c.write(&tables)
	}
	data.Tables = tables.String()
	var out bytes.Buffer
	err = t.Execute(&out, data)
	return out.Bytes(), err
}

func (r *Report) figures() []figure {
	counts := make(map[verdict]int)
	for _, b := range r.barRows() {
		counts[b.Verdict]++
	}
	return []figure{{fmt.Sprint(len(r.Cells)), "cells"}, {fmt.Sprint(counts[met]), "bars met"},
		{fmt.Sprint(counts[missed]), "bars missed"}, {fmt.Sprint(counts[undecided]), "too noisy to say"},
		{fmt.Sprint(counts[notMeasured]), "not measured"}}
}

// pageBars are the bars that were measured, by what they are about.
func (r *Report) pageBars() []pageWork {
	var out []pageWork
	for _, b := range r.barRows() {
		if b.Verdict == notMeasured {
			continue
		}
		if len(out) == 0 || out[len(out)-1].Work != b.Work {
			out = append(out, pageWork{Work: b.Work})
		}
		work := &out[len(out)-1]
		row := pageBar{Cell: b.Cell, What: string(b.Metric), Want: b.Want}
		if b.To != "" {
			row.What += " / " + b.To
		}
		switch b.Verdict {
		case undecided:
			work.Open++
			row.Class, row.Value = "open", b.Value.String()
		default:
			if b.Verdict == met {
				work.Met++
			} else {
				work.Missed++
			}
			row.Class = string(b.Verdict)
			row.Value = b.value()
			row.Gauge = template.HTML(gauge(b.Value.Median, b.Number, b.Limit, b.Verdict == met))
		}
		work.Bars = append(work.Bars, row)
	}
	return out
}

func (r *Report) heat() heat {
	var h heat
	for _, c := range r.Cells {
		for _, s := range c.Subjects {
			if s.Name != base(c.Kind) && !slices.Contains(h.Names, s.Name) {
				h.Names = append(h.Names, s.Name)
			}
		}
	}
	for _, c := range r.Cells {
		if c.Kind == kindIdle || c.Kind == kindOpen {
			continue
		}
		row := heatRow{Cell: c.Name}
		for _, name := range h.Names {
			var cell heatCell
			if s := c.find(name); s != nil {
				ratio := s.Ratios[mThroughput]
				switch {
				case s.Missing != "" || s.Error != "":
					cell = heatCell{Text: "–"}
				case ratio.N > 0 && ratio.Noisy:
					cell = heatCell{Text: ratio.String(), Class: "noisy"}
				case ratio.N > 0:
					cell = heatCell{Text: fmt.Sprintf("%.2f", ratio.Median), Class: "heat", Style: heatStyle(ratio.Median)}
				}
			}
			row.Values = append(row.Values, cell)
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// heatStyle tints a cell, the more the further the ratio is from one.
func heatStyle(ratio float64) template.CSS {
	strength := math.Min(1, math.Abs(math.Log2(ratio)))
	tint := "--good"
	if ratio < 1 {
		tint = "--bad"
	}
	return template.CSS(fmt.Sprintf("background:color-mix(in srgb, var(%s) %.0f%%, transparent)", tint, 55*strength))
}

// sections are the plots: one section for each group of cells.
func (r *Report) sections() []section {
	var groups []string
	cells := make(map[string][]*CellReport)
	for _, c := range r.Cells {
		if c.Skipped != "" {
			continue
		}
		if cells[c.Group] == nil {
			groups = append(groups, c.Group)
		}
		cells[c.Group] = append(cells[c.Group], c)
	}
	var out []section
	for _, g := range groups {
		out = append(out, sectionOf(g, cells[g]))
	}
	return out
}

func sectionOf(title string, cells []*CellReport) section {
	s := section{Title: title}
	add := func(svg string) { s.Plots = append(s.Plots, template.HTML(svg)) }
	first := cells[0]
	p50 := func(a Sample) float64 { return float64(a.Latency.P50) }
	p99 := func(a Sample) float64 { return float64(a.Latency.P99) }
	switch first.Kind {
	case kindIdle:
		s.Text = "Nothing is sent. Processor time, context switches and system calls should all be none."
		for _, c := range cells {
			add(barsSVG("Memory for one of "+countName(c.Conns), nil,
				c.rows(func(a Sample) []float64 { return []float64{max(0, a.MemPerConn)} }, bytesName)))
		}
		for _, c := range cells {
			add(barsSVG("CPU of "+countName(c.Conns)+", µs altogether", nil,
				c.rows(func(a Sample) []float64 { return []float64{float64(a.CPUTotal.Microseconds())} },
					func(x float64) string { return fmt.Sprintf("%.0f", x) })))
		}
		return s
	case kindRecv, kindSend:
		for _, c := range cells {
			add(barsSVG(c.Name+": MiB a second", nil,
				c.rows(func(a Sample) []float64 { return []float64{a.Throughput} }, bigNumber)))
		}
	case kindSeqRead, kindSeqWrite, kindCopy, kindStat:
		for _, c := range cells {
			add(barsSVG(c.Name+": "+c.Unit+" a second", nil,
				c.rows(func(a Sample) []float64 { return []float64{a.Throughput} }, bigNumber)))
		}
	case kindTree:
		add(lines(first.Unit+" a second", cells, func(a Sample) float64 { return a.Throughput }, false, bigNumber).svg())
	case kindOpen:
		s.Text = "Latency counts from when a message was due, whether or not the connection was free. " +
			"The rate is a part of what the standard library reaches in a closed loop."
		add(lines("Median latency", cells, p50, true, latency).svg())
		add(lines("99th percentile of latency", cells, p99, true, latency).svg())
	default:
		if len(cells) > 1 {
			add(lines(first.Unit+" a second", cells, func(a Sample) float64 { return a.Throughput }, false, bigNumber).svg())
			add(lines("99th percentile of latency", cells, p99, true, latency).svg())
		} else {
			add(barsSVG(first.Name+": "+first.Unit+" a second", nil,
				first.rows(func(a Sample) []float64 { return []float64{a.Throughput} }, bigNumber)))
		}
	}
	for _, c := range cells {
		add(barsSVG(fmt.Sprintf("CPU µs for one: %s", c.place()), []string{"user", "system"},
			c.costs()))
		if svg := c.profileSVG(); svg != "" {
			add(svg)
		}
	}
	return s
}

// costs are the bars of a cell's processor time, user and system. The kernel
// tells the two apart by sampling at 100 Hz: the more rounds, the better.
func (c *CellReport) costs() []row {
	var rows []row
	for _, s := range c.Subjects {
		var user, all float64
		for _, a := range s.Samples {
			user += a.UserShare * a.CPUTotal.Seconds()
			all += a.CPUTotal.Seconds()
		}
		if all == 0 {
			continue
		}
		each := s.median(func(a Sample) float64 { return a.CPU })
		rows = append(rows, row{name: s.Name, parts: []float64{each * user / all, each * (1 - user/all)}, note: fmt.Sprintf("%.2f", each)})
	}
	return rows
}

// leads are the pictures beside the first: what one operation costs in the
// cells that say most.
func (r *Report) leads() []template.HTML {
	var out []template.HTML
	for _, c := range r.Cells {
		if c.Name != "echo/64B/c64/pinned" && c.Name != "randread/direct/g128" {
			continue
		}
		if svg := c.profileSVG(); svg != "" {
			out = append(out, template.HTML(strings.ReplaceAll(svg, "Where the µs go: "+c.place(), c.Name+": where the µs of one go")))
		} else if rows := c.costs(); rows != nil {
			out = append(out, template.HTML(barsSVG(c.Name+": CPU µs for one", []string{"user", "system"}, rows)))
		}
	}
	return out
}

// place is where a cell stands on the x axis of its section.
func (c *CellReport) place() string {
	switch c.Kind {
	case kindOpen:
		return fmt.Sprintf("%.0f%%", 100*c.Part)
	case kindRecv:
		return "receiving"
	case kindSend:
		return "sending"
	case kindRead, kindNop, kindAppend, kindTree, kindStat:
		return countName(c.Conns) + " goroutine(s)"
	case kindSeqRead, kindSeqWrite:
		return sizeName(c.Size) + " blocks"
	case kindCopy:
		return c.cacheName()
	case kindUDP:
		return countName(c.Conns) + " socket(s)"
	}
	return countName(c.Conns) + " connection(s)"
}

// axisOf is what the x axis of a section counts.
func axisOf(k kind) string {
	switch k {
	case kindOpen:
		return "rate"
	case kindRead:
		return "goroutines, or depth"
	case kindNop, kindAppend, kindTree, kindStat:
		return "goroutines"
	case kindUDP:
		return "sockets of the load"
	}
	return "connections"
}

// lines makes a plot over the connections of cells.
func lines(title string, cells []*CellReport, of func(Sample) float64, log bool, format func(float64) string) plot {
	p := plot{title: title, xTitle: axisOf(cells[0].Kind), log: log, format: format}
	index := make(map[string]int)
	for i, c := range cells {
		label, _, _ := strings.Cut(c.place(), " ")
		p.labels = append(p.labels, label)
		for _, s := range c.Subjects {
			sum := s.summary(func(a Sample) (float64, bool) { v := of(a); return v, v > 0 })
			if sum.N == 0 {
				continue
			}
			at, ok := index[s.Name]
			if !ok {
				at = len(p.lines)
				index[s.Name] = at
				p.lines = append(p.lines, line{name: s.Name})
			}
			p.lines[at].points = append(p.lines[at].points, point{x: i, y: sum.Median, lo: sum.Q1, hi: sum.Q3})
		}
	}
	return p
}

// rows makes bars of the medians of what the subjects of a cell did.
func (c *CellReport) rows(of func(Sample) []float64, format func(float64) string) []row {
	var rows []row
	for _, s := range c.Subjects {
		if len(s.Samples) == 0 {
			continue
		}
		r := row{name: s.Name}
		sum := 0.0
		for i := range of(s.Samples[0]) {
			v := s.median(func(a Sample) float64 { return of(a)[i] })
			r.parts = append(r.parts, v)
			sum += v
		}
		r.note = format(sum)
		rows = append(rows, r)
	}
	return rows
}
