//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The first picture of the page has a row for each cell and a dot for each
// ratio of throughput to the standard library's: ours, what C reaches, and what
// the standard library does when a program takes the trouble.

const (
	dotsWidth, dotsLeft, dotsRight = 560, 172, 14
	dotsRow                        = 19
)

// mark is a ratio in a row.
type mark struct {
	name  string
	ratio Ratio
}

// dotted are the subjects of the picture, the last drawn on top.
var dotted = []string{"c-epoll", "c-uring", "fio-io_uring", "fio-psync", batchName, groupName, ourName}

func (c *CellReport) marks() []mark {
	var out []mark
	if c.Kind == kindIdle || c.Kind == kindOpen || base(c.Kind) != "std" {
		return nil
	}
	for _, name := range dotted {
		if s := c.find(name); s != nil && s.Ratios[mThroughput].N > 0 {
			out = append(out, mark{name, s.Ratios[mThroughput]})
		}
	}
	return out
}

// scale is a logarithmic x axis of ratios.
type scale struct{ lo, hi float64 }

func (s scale) x(v float64) float64 {
	v = math.Min(math.Max(v, s.lo), s.hi)
	return dotsLeft + (dotsWidth-dotsLeft-dotsRight)*math.Log(v/s.lo)/math.Log(s.hi/s.lo)
}

// dots draws the picture.
func (r *Report) dots() string {
	type line struct {
		cell  *CellReport
		marks []mark
	}
	var lines []line
	there := make(map[string]bool)
	s := scale{lo: 0.8, hi: 1.3}
	for _, c := range r.Cells {
		m := c.marks()
		if len(m) == 0 {
			continue
		}
		lines = append(lines, line{c, m})
		for _, m := range m {
			there[m.name] = true
			if !m.ratio.Noisy {
				s.lo, s.hi = math.Min(s.lo, m.ratio.Q1*0.95), math.Max(s.hi, m.ratio.Q3*1.05)
			}
		}
	}
	if lines == nil {
		return ""
	}
	s.lo, s.hi = math.Max(s.lo, 0.25), math.Min(s.hi, 8)
	const top = 42
	height := top + len(lines)*dotsRow + 8
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="dots" viewBox="0 0 %d %d" role="img" aria-label="throughput against the standard library">`, dotsWidth, height)
	x := 0.0
	for _, name := range dotted {
		if !there[name] {
			continue
		}
		s.mark(&b, x+6, 8, name)
		text(&b, "", x+14, 12, name)
		x += 27 + 6*float64(len(name))
	}
	for _, t := range []float64{0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8} {
		if t < s.lo || t > s.hi {
			continue
		}
		class := "grid"
		if t == 1 {
			class = "one"
		}
		fmt.Fprintf(&b, `<line class="%s" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, class, s.x(t), s.x(t), top-8, height-4)
		text(&b, "mid dim", s.x(t), top-13, fmt.Sprintf("%g×", t))
	}
	for i, l := range lines {
		y := float64(top + i*dotsRow + dotsRow/2)
		if i > 0 && lines[i-1].cell.Group != l.cell.Group {
			fmt.Fprintf(&b, `<line class="grid" x1="0" x2="%d" y1="%.1f" y2="%.1f"/>`, dotsWidth, y-dotsRow/2, y-dotsRow/2)
		}
		text(&b, "end", dotsLeft-10, y+4, l.cell.Name)
		for _, m := range l.marks {
			s.draw(&b, y, m)
		}
	}
	b.WriteString("</svg>")
	return b.String()
}

// draw draws a ratio with its quartiles; of one that means nothing only how
// far it reaches.
func (s scale) draw(b *strings.Builder, y float64, m mark) {
	if m.ratio.Noisy {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" style="stroke:%s" stroke-width="3" stroke-dasharray="2 3" opacity=".5"><title>%s: %s</title></line>`,
			s.x(m.ratio.Smallest), s.x(m.ratio.Largest), y, y, colour(m.name), html.EscapeString(m.name), html.EscapeString(m.ratio.String()))
		return
	}
	fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" style="stroke:%s" stroke-width="5" opacity=".3"/>`,
		s.x(m.ratio.Q1), s.x(m.ratio.Q3), y, y, colour(m.name))
	fmt.Fprintf(b, `<g><title>%s: %s</title>`, html.EscapeString(m.name), html.EscapeString(m.ratio.String()))
	s.mark(b, s.x(m.ratio.Median), y, m.name)
	b.WriteString("</g>")
}

// mark is a filled dot for ours and a ring for the limits.
func (s scale) mark(b *strings.Builder, x, y float64, name string) {
	if name == ourName {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="5.5" style="fill:%s"/>`, x, y, colour(name))
		return
	}
	fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="none" style="stroke:%s" stroke-width="2"/>`, x, y, colour(name))
}
