//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// line is one curve of a plot: a point for each place on the x axis, of which
// some may be missing.
type line struct {
	name   string
	points []point
}

type point struct {
	x         int // index into the labels
	y, lo, hi float64
}

// plot is a plot of curves over a few labelled places.
type plot struct {
	title  string
	xTitle string
	labels []string
	lines  []line
	log    bool // the y axis
	format func(float64) string
}

// The size of a plot and its margins.
const (
	plotWidth, plotHeight            = 470, 290
	marginLeft, marginRight          = 58, 146
	marginTop, marginBottom          = 34, 44
	innerWidth, innerHeight          = plotWidth - marginLeft - marginRight, plotHeight - marginTop - marginBottom
	barHeight, barGap, barLabelWidth = 18, 7, 150
)

// colour returns the colour of a subject, which the page defines for light and
// dark: the standard library is grey, ours are blue, C and fio orange, other
// libraries violet.
func colour(name string) string {
	variant, isOurs := strings.CutPrefix(name, ourName+"-")
	switch {
	case name == "std" || name == "channels":
		return "var(--std)"
	case name == ourName:
		return "var(--ours)"
	case isOurs && len(variant) < 3: // more shards
		return "var(--ours2)"
	case isOurs:
		return "var(--ours3)"
	case name == "c-uring" || name == "fio-io_uring":
		return "var(--c)"
	case name == "c-epoll" || name == "fio-psync":
		return "var(--c2)"
	case name == "gnet":
		return "var(--peer)"
	}
	return "var(--peer2)"
}

// partColour returns the colour of a part of a profile.
func partColour(part string) string {
	for i, p := range parts {
		if p == part {
			return fmt.Sprintf("var(--part%d)", i)
		}
	}
	return "var(--dim)"
}

func text(b *strings.Builder, class string, x, y float64, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, html.EscapeString(s))
}

// axis is where values lie on the y axis of a plot.
type axis struct {
	lo, hi float64
	log    bool
	ticks  []float64
}

// newAxis makes an axis on which all values have a place.
func newAxis(lo, hi float64, log bool) axis {
	if hi <= 0 {
		hi = 1
	}
	if !log {
		step := niceStep(hi / 4)
		a := axis{hi: math.Ceil(hi/step) * step}
		for i := 0; float64(i)*step <= a.hi*1.0001; i++ {
			a.ticks = append(a.ticks, float64(i)*step)
		}
		return a
	}
	if lo <= 0 {
		lo = hi / 10
	}
	a := axis{log: true, lo: math.Pow(10, math.Floor(math.Log10(lo))), hi: math.Pow(10, math.Ceil(math.Log10(hi)))}
	if a.hi <= a.lo {
		a.hi = a.lo * 10
	}
	for t := a.lo; t <= a.hi*1.0001; t *= 10 {
		a.ticks = append(a.ticks, t)
	}
	return a
}

// niceStep returns the least of 1, 2, 5 times a power of ten that is not less.
func niceStep(x float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*p >= x*0.9999 {
			return m * p
		}
	}
	return 10 * p
}

// y returns where a value is drawn.
func (a axis) y(v float64) float64 {
	part := v / a.hi
	if a.log {
		part = math.Log(math.Max(v, a.lo)/a.lo) / math.Log(a.hi/a.lo)
	}
	return marginTop + innerHeight*(1-part)
}

// svg draws the plot.
func (p plot) svg() string {
	lo, hi := math.Inf(1), 0.0
	for _, l := range p.lines {
		for _, pt := range l.points {
			lo, hi = math.Min(lo, pt.y), math.Max(hi, math.Max(pt.y, pt.hi))
		}
	}
	a := newAxis(lo, hi, p.log)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, html.EscapeString(p.title))
	text(&b, "title", 4, 16, p.title)
	for _, t := range a.ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, marginLeft, marginLeft+innerWidth, a.y(t), a.y(t))
		text(&b, "end", marginLeft-6, a.y(t)+4, p.format(t))
	}
	for i, l := range p.labels {
		text(&b, "mid", p.x(i), marginTop+innerHeight+16, l)
	}
	text(&b, "mid dim", marginLeft+innerWidth/2, plotHeight-8, p.xTitle)
	for _, l := range p.lines {
		p.curve(&b, a, l)
	}
	p.names(&b, a)
	b.WriteString("</svg>")
	return b.String()
}

func (p plot) x(i int) float64 {
	if len(p.labels) == 1 {
		return marginLeft + innerWidth/2
	}
	return marginLeft + 14 + float64(i)*(innerWidth-28)/float64(len(p.labels)-1)
}

// curve draws one line with its points and the spread of each.
func (p plot) curve(b *strings.Builder, a axis, l line) {
	c := colour(l.name)
	var path []string
	for _, pt := range l.points {
		x := p.x(pt.x)
		path = append(path, fmt.Sprintf("%.1f,%.1f", x, a.y(pt.y)))
		if pt.hi > pt.lo {
			fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" style="stroke:%s" stroke-width="5" opacity=".22"/>`,
				x, x, a.y(pt.lo), a.y(pt.hi), c)
		}
	}
	width := 1.6
	if l.name == ourName {
		width = 3
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" style="stroke:%s" stroke-width="%.1f"/>`, strings.Join(path, " "), c, width)
	for _, pt := range l.points {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" style="fill:%s"><title>%s, %s: %s</title></circle>`, p.x(pt.x), a.y(pt.y), c,
			html.EscapeString(l.name), html.EscapeString(p.labels[pt.x]), html.EscapeString(p.format(pt.y)))
	}
}

// names writes the name of each line beside its end, one below the other.
func (p plot) names(b *strings.Builder, a axis) {
	const height = 13
	type label struct {
		name string
		y    float64
	}
	var labels []label
	for _, l := range p.lines {
		if n := len(l.points); n > 0 {
			labels = append(labels, label{l.name, a.y(l.points[n-1].y)})
		}
	}
	for i := range labels { // by insertion, from the top
		for j := i; j > 0 && labels[j].y < labels[j-1].y; j-- {
			labels[j], labels[j-1] = labels[j-1], labels[j]
		}
	}
	bottom := float64(marginTop+innerHeight) - height*float64(len(labels)-1)
	for i := range labels {
		low := float64(marginTop)
		if i > 0 {
			low = labels[i-1].y + height
		}
		labels[i].y = math.Max(low, math.Min(labels[i].y, bottom+height*float64(i)))
		fmt.Fprintf(b, `<text class="name" style="fill:%s" x="%d" y="%.1f">%s</text>`, colour(labels[i].name),
			marginLeft+innerWidth+6, labels[i].y+4, html.EscapeString(labels[i].name))
	}
}

// row is a bar of a bar chart, made of one or more parts.
type row struct {
	name  string
	parts []float64
	note  string
}

// barsSVG draws horizontal bars, one below the other. With legend they are
// stacked, and the first part is the lighter one.
func barsSVG(title string, legend []string, rows []row) string {
	var colours func(row, int) string
	if legend == nil {
		colours = func(r row, _ int) string { return "fill:" + colour(r.name) }
	} else {
		colours = func(r row, i int) string {
			if i == 0 {
				return "opacity:.45;fill:" + colour(r.name)
			}
			return "fill:" + colour(r.name)
		}
		title += ", " + strings.Join(legend, " (light) and ")
	}
	return stacked(title, nil, rows, colours)
}

// stacked draws bars whose parts have a style each, with a legend below.
func stacked(title string, legend []string, rows []row, style func(r row, part int) string) string {
	hi := 0.0
	for _, r := range rows {
		sum := 0.0
		for _, p := range r.parts {
			sum += p
		}
		hi = math.Max(hi, sum)
	}
	if hi == 0 {
		hi = 1
	}
	const width = plotWidth - barLabelWidth - 62
	bottom := marginTop + len(rows)*(barHeight+barGap)
	height := bottom + 4 + (len(legend)+1)/2*16
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, height, html.EscapeString(title))
	text(&b, "title", 4, 16, title)
	for i, r := range rows {
		y := float64(marginTop + i*(barHeight+barGap))
		text(&b, "end", barLabelWidth-8, y+13, r.name)
		x := float64(barLabelWidth)
		for j, p := range r.parts {
			w := p / hi * width
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" style="%s">`,
				x, y, math.Max(w, 0.3), barHeight, style(r, j))
			if legend != nil {
				fmt.Fprintf(&b, `<title>%s: %.2f</title>`, html.EscapeString(legend[j]), p)
			}
			b.WriteString("</rect>")
			x += w
		}
		text(&b, "", x+6, y+13, r.note)
	}
	for i, name := range legend {
		x, y := float64(12+i%2*(plotWidth/2)), float64(bottom+6+i/2*16)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="10" height="10" style="%s"/>`, x, y, style(row{}, i))
		text(&b, "", x+16, y+9, name)
	}
	b.WriteString("</svg>")
	return b.String()
}

// profileSVG draws where the microseconds of an operation go; empty if nobody
// has a profile.
func (c *CellReport) profileSVG() string {
	var rows []row
	var legend []string
	for _, part := range parts {
		for _, s := range c.Subjects {
			if s.Profile.Samples > 0 && s.Profile.Shares[part] >= 0.002 {
				legend = append(legend, part)
				break
			}
		}
	}
	for _, s := range c.Subjects {
		if s.Profile.Samples == 0 {
			continue
		}
		r := row{name: s.Name, note: fmt.Sprintf("%.2f", s.median(func(a Sample) float64 { return a.CPU }))}
		for _, part := range legend {
			r.parts = append(r.parts, s.profiled(part))
		}
		rows = append(rows, r)
	}
	if rows == nil {
		return ""
	}
	return stacked("Where the µs go: "+c.place(), legend, rows,
		func(_ row, i int) string { return "fill:" + partColour(legend[i]) })
}

// gauge draws a value beside the bar that it has to reach, and the limit that
// is known.
func gauge(v, want, limit float64, met bool) string {
	const width, height = 180, 18
	hi := math.Max(math.Max(v, want), limit) * 1.08
	if hi <= 0 {
		hi = 1
	}
	at := func(x float64) float64 { return x / hi * width }
	c := "var(--bad)"
	if met {
		c = "var(--good)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="gauge" viewBox="0 0 %d %d"><rect x="0" y="4" width="%d" height="10" class="track"/>`, width, height, width)
	fmt.Fprintf(&b, `<rect x="0" y="4" width="%.1f" height="10" style="fill:%s"/>`, at(v), c)
	fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="0" y2="18" class="want"/>`, at(want), at(want))
	if limit > 0 {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="2" y2="16" class="limit"/>`, at(limit), at(limit))
	}
	b.WriteString("</svg>")
	return b.String()
}
