package main

import "fmt"

// cell is one piece of work that subjects are compared in.
type cell struct {
	Name string `json:"name"`
	Kind kind   `json:"kind"`

	Size       int     `json:"size,omitempty"`       // bytes of a message or block
	Conns      int     `json:"conns,omitempty"`      // connections
	Goroutines int     `json:"goroutines,omitempty"` // in file and overhead cells
	Pinned     bool    `json:"pinned,omitempty"`     // server on one processor, load on another
	Direct     bool    `json:"direct,omitempty"`     // O_DIRECT
	Rate       int     `json:"rate,omitempty"`       // messages a second of an open loop, 0 for closed
	Bars       []bar   `json:"bars,omitempty"`
	Seconds    float64 `json:"seconds"` // of one measurement

	quick bool // belongs to the quick run
}

// kind is what is done in a cell, and so how it is measured.
type kind string

const (
	echo     kind = "echo"     // messages there and back
	source   kind = "source"   // the server sends as fast as it can
	sink     kind = "sink"     // the server receives as fast as it can
	idle     kind = "idle"     // connections that do nothing
	randread kind = "randread" // blocks of a file at random
	overhead kind = "overhead" // an operation that does nothing
)

// unit returns what a cell counts.
func (k kind) unit() string {
	switch k {
	case source, sink:
		return "MiB"
	case randread:
		return "reads"
	case overhead:
		return "round trips"
	}
	return "messages"
}

// bar is a ratio that a subject of ours must reach; see docs/performance.md.
type bar struct {
	Metric  metric  `json:"metric"`
	Against string  `json:"against"`
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

func (b bar) String() string {
	if b.AtMost > 0 {
		return fmt.Sprintf("%s ≤ %.2f of %s", b.Metric, b.AtMost, b.Against)
	}
	return fmt.Sprintf("%s ≥ %.2f of %s", b.Metric, b.AtLeast, b.Against)
}

// cells returns the whole matrix.
func cells() []cell {
	var all []cell
	add := func(c cell) {
		if c.Seconds == 0 {
			c.Seconds = 1
		}
		all = append(all, c)
	}
	sizes := []struct {
		name  string
		bytes int
	}{{"64B", 64}, {"1KiB", 1 << 10}, {"16KiB", 16 << 10}}
	for _, pinned := range []bool{true, false} {
		where := "free"
		if pinned {
			where = "pinned"
		}
		for _, size := range sizes {
			for _, conns := range []int{1, 64, 512, 10_000} {
				if conns == 10_000 && size.bytes != 64 {
					continue
				}
				add(cell{
					Name: fmt.Sprintf("echo/%s/c%d/%s", size.name, conns, where), Kind: echo,
					Size: size.bytes, Conns: conns, Pinned: pinned, Bars: echoBars(size.bytes, conns, pinned),
					quick: size.bytes == 64 && conns <= 512,
				})
			}
		}
		add(cell{Name: "echo/64B/c64/rate20k/" + where, Kind: echo, Size: 64, Conns: 64, Rate: 20_000,
			Pinned: pinned, Bars: []bar{{Metric: p99, Against: "std", AtMost: 1.1}}})
	}
	none := []bar{{Metric: throughput, Against: "std", AtLeast: 1}}
	add(cell{Name: "stream/source", Kind: source, Size: 64 << 10, Conns: 1, Bars: none, quick: true})
	add(cell{Name: "stream/sink", Kind: sink, Size: 64 << 10, Conns: 1, Bars: none, quick: true})
	add(cell{Name: "idle/c1000", Kind: idle, Size: 64, Conns: 1000, Seconds: 3, quick: true})
	for _, g := range []int{1, 32, 128, 1024} {
		c := cell{Name: fmt.Sprintf("randread/direct/g%d", g), Kind: randread, Size: 4096, Goroutines: g,
			Direct: true, quick: g == 1 || g == 128}
		if g >= 32 {
			c.Bars = []bar{
				{Metric: throughput, Against: "std", AtLeast: 2},
				{Metric: cpu, Against: "std", AtMost: 0.3},
				{Metric: throughput, Against: "fio-uring", AtLeast: 0.95},
			}
		}
		add(c)
	}
	for _, g := range []int{1, 8, 128} {
		add(cell{Name: fmt.Sprintf("randread/cached/g%d", g), Kind: randread, Size: 4096, Goroutines: g,
			Bars: []bar{{Metric: throughput, Against: "std", AtLeast: 1.1}}, quick: g != 8})
	}
	for _, g := range []int{1, 64} {
		add(cell{Name: fmt.Sprintf("overhead/nop/g%d", g), Kind: overhead, Goroutines: g, quick: true})
	}
	return all
}

// echoBars returns the bars of an echo cell.
func echoBars(size, conns int, pinned bool) []bar {
	switch {
	case size == 64 && conns == 64 && pinned:
		return []bar{{Metric: throughput, Against: "std", AtLeast: 1.12}, {Metric: throughput, Against: "c-uring", AtLeast: 0.92}}
	case size == 64 && conns == 512 && pinned:
		return []bar{{Metric: throughput, Against: "std", AtLeast: 1.15}, {Metric: throughput, Against: "c-uring", AtLeast: 0.85}}
	case conns == 1:
		return []bar{
			{Metric: throughput, Against: "std", AtLeast: 1},
			{Metric: p50, Against: "std", AtMost: 1},
			{Metric: p99, Against: "std", AtMost: 1},
		}
	case conns == 10_000:
		return []bar{{Metric: throughput, Against: "std", AtLeast: 0.95}}
	}
	return []bar{{Metric: throughput, Against: "std", AtLeast: 1}}
}
