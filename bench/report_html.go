package main

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// htmlPage makes a page of its own: no script, nothing from outside.
func htmlPage(env environment, outcomes []outcome) ([]byte, error) {
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, map[string]any{
		"Env": env, "Plots": plots(outcomes), "Tables": tables(outcomes),
	})
	return out.Bytes(), err
}

// curve is one subject's line in a plot.
type curve struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// family groups cells that differ in one number only, which is the x axis.
func family(c cell) (name, axis string, x float64) {
	switch c.Kind {
	case echo:
		where := "free"
		if c.Pinned {
			where = "pinned"
		}
		if c.Rate > 0 {
			return "", "", 0
		}
		return fmt.Sprintf("echo, %d bytes, %s", c.Size, where), "connections", float64(c.Conns)
	case randread:
		where := "page cache"
		if c.Direct {
			where = "O_DIRECT"
		}
		return "random reads, " + where, "goroutines", float64(c.Goroutines)
	}
	return "", "", 0
}

// plots draws, for each family of cells, how throughput, latency and
// processor time change along its axis.
func plots(outcomes []outcome) []template.HTML {
	type group struct {
		name, axis string
		metrics    map[metric]map[string][]point
	}
	var groups []*group
	for _, o := range outcomes {
		name, axis, x := family(o.Cell)
		if name == "" {
			continue
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.name == name })
		if i < 0 {
			groups = append(groups, &group{name: name, axis: axis, metrics: map[metric]map[string][]point{}})
			i = len(groups) - 1
		}
		for _, m := range []metric{throughput, p99, cpu} {
			for subject := range o.Samples {
				s := summarize(o.values(subject, m))
				if s.N == 0 {
					continue
				}
				if groups[i].metrics[m] == nil {
					groups[i].metrics[m] = map[string][]point{}
				}
				groups[i].metrics[m][subject] = append(groups[i].metrics[m][subject], point{x, s.Median})
			}
		}
	}
	var out []template.HTML
	titles := map[metric]string{throughput: "a second", p99: "p99, µs", cpu: "processor time each, µs"}
	for _, g := range groups {
		for _, m := range []metric{throughput, p99, cpu} {
			var curves []curve
			for name, pts := range g.metrics[m] {
				slices.SortFunc(pts, func(a, b point) int { return int(a.x - b.x) })
				curves = append(curves, curve{name, pts})
			}
			if len(curves) == 0 {
				continue
			}
			slices.SortFunc(curves, func(a, b curve) int { return strings.Compare(a.name, b.name) })
			out = append(out, template.HTML(drawPlot(g.name+": "+titles[m], g.axis, curves)))
		}
	}
	return out
}

// colours are told apart by most eyes; a subject keeps its own in all plots.
var colours = map[string]string{
	"std": "#555555", "yamanote": "#0072b2",
	"yamanote:2": "#009e73", "c-uring": "#d55e00", "c-epoll": "#e69f00", "fio-uring": "#d55e00",
	"fio-psync": "#e69f00", "gnet": "#999933", "netpoll": "#882255",
}

func colour(name string) string {
	if c, ok := colours[name]; ok {
		return c
	}
	return "#000000"
}

// drawPlot draws curves over a logarithmic x axis, y from zero.
func drawPlot(title, axis string, curves []curve) string {
	const w, h, left, bottom, top, right = 460, 300, 70, 44, 34, 130
	minX, maxX, maxY := math.Inf(1), math.Inf(-1), 0.0
	var xs []float64
	for _, c := range curves {
		for _, p := range c.points {
			minX, maxX, maxY = min(minX, p.x), max(maxX, p.x), max(maxY, p.y)
			if !slices.Contains(xs, p.x) {
				xs = append(xs, p.x)
			}
		}
	}
	px := func(x float64) float64 {
		if maxX == minX {
			return left + (w-left-right)/2
		}
		return left + (math.Log(x)-math.Log(minX))/(math.Log(maxX)-math.Log(minX))*(w-left-right)
	}
	top10 := niceAbove(maxY)
	py := func(y float64) float64 { return h - bottom - y/top10*(h-bottom-top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img"><title>%s</title>`, w, h, template.HTMLEscapeString(title))
	fmt.Fprintf(&b, `<text x="%d" y="18" class="t">%s</text>`, left-60, template.HTMLEscapeString(title))
	for i := range 5 {
		y := top10 * float64(i) / 4
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="g"/><text x="%d" y="%.1f" class="n" text-anchor="end">%s</text>`,
			left, w-right, py(y), py(y), left-6, py(y)+4, short(y))
	}
	for _, x := range xs {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="n" text-anchor="middle">%s</text>`, px(x), h-bottom+16, short(x))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" class="n" text-anchor="middle">%s</text>`, (left+w-right)/2, h-8, axis)
	for i, c := range curves {
		var path strings.Builder
		for j, p := range c.points {
			verb := "L"
			if j == 0 {
				verb = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", verb, px(p.x), py(p.y))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.2" fill="%s"><title>%s: %s</title></circle>`,
				px(p.x), py(p.y), colour(c.name), template.HTMLEscapeString(c.name), number(p.y))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, path.String(), colour(c.name))
		y := top + 14 + 17*i
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d" class="n">%s</text>`,
			w-right+12, y-9, colour(c.name), w-right+27, y, template.HTMLEscapeString(c.name))
	}
	b.WriteString("</svg>")
	return b.String()
}

// niceAbove rounds up to 1, 2, 4 or 8 times a power of ten.
func niceAbove(v float64) float64 {
	if v <= 0 {
		return 1
	}
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 4, 8} {
		if f*ten >= v {
			return f * ten
		}
	}
	return 10 * ten
}

// short prints a number for an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return number(v/1e6) + "M"
	case v >= 1e4:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	}
	return number(v)
}

// tables are the outcomes as rows of text, with a bar for each ratio.
func tables(outcomes []outcome) []map[string]any {
	var out []map[string]any
	for _, o := range outcomes {
		cols := o.Cell.columns()
		heads := []string{""}
		for _, m := range cols {
			heads = append(heads, m.heading(o.Cell))
		}
		var rows []map[string]any
		for _, name := range o.order() {
			var cellsOf []string
			for _, m := range cols {
				cellsOf = append(cellsOf, number(summarize(o.values(name, m)).Median))
			}
			row := map[string]any{"Name": name, "Cells": cellsOf, "Colour": template.CSS(colour(name))}
			if o.Cell.Kind != idle {
				s := summarize(ratios(o.Samples[name], o.Samples["std"], throughput))
				row["Ratio"] = ratio(s)
				if !s.noisy() {
					row["Width"] = int(min(s.Median, 3) * 60)
				}
			}
			rows = append(rows, row)
		}
		var bars []string
		for _, b := range o.Cell.Bars {
			s := summarize(ratios(o.Samples["yamanote"], o.Samples[b.Against], b.Metric))
			bars = append(bars, fmt.Sprintf("%s: %s: %s", b, ratio(s), b.judge(s)))
		}
		out = append(out, map[string]any{"Name": o.Cell.Name, "Heads": heads, "Rows": rows, "Bars": bars, "Errors": o.Errors})
	}
	return out
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Yamanote: measurements</title>
<meta name="viewport" content="width=device-width">
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1080px;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem} h2{font-size:1.1rem;margin:2rem 0 .3rem}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(430px,1fr));gap:1rem}
svg{width:100%;height:auto} .t{font:600 13px system-ui} .n{font:11px system-ui;fill:#444} .g{stroke:#e4e4e4}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #eee} th:first-child,td:first-child{text-align:left}
.bar{display:inline-block;height:.7em;margin-right:.4em;vertical-align:baseline}
.note{color:#555;font-size:.9rem;margin:.2rem 0}
</style>
<h1>Yamanote: measurements</h1>
<p class="note">{{.Env.Date}} · {{.Env.Kernel}} · {{.Env.CPU}} × {{.Env.CPUs}} · {{.Env.Go}} · commit {{.Env.Commit}} · {{.Env.Rounds}} rounds, seed {{.Env.Seed}}</p>
<p class="note">{{.Env.Command}}<br>{{.Env.Backend}}</p>
<p class="note">Medians of rounds in which all subjects took part in random order. A ratio is the median over rounds, with
its quartiles, of a subject's throughput and the standard library's in the same round; “noisy” where they lie too far
apart to mean anything.</p>
<div class="plots">{{range .Plots}}<div>{{.}}</div>{{end}}</div>
{{range .Tables}}<h2>{{.Name}}</h2>
<table><tr>{{range .Heads}}<th>{{.}}</th>{{end}}<th style="text-align:left">to std</th></tr>
{{range .Rows}}<tr><td>{{.Name}}</td>{{range .Cells}}<td>{{.}}</td>{{end}}<td style="text-align:left">{{if .Width}}<span class="bar" style="width:{{.Width}}px;background:{{.Colour}}"></span>{{end}}{{.Ratio}}</td></tr>
{{end}}</table>{{range .Bars}}<p class="note">{{.}}</p>{{end}}{{range $k,$v := .Errors}}<p class="note">{{$k}} failed: {{$v}}</p>{{end}}
{{end}}</html>
`))
