package main

import (
	"fmt"
	"regexp"
	"time"
)

// kind is what a cell measures.
type kind string

const (
	kindEcho kind = "echo" // messages sent back, as fast as it goes
	kindOpen kind = "open" // messages sent back, at a fixed rate
	kindRecv kind = "recv" // the server receives a stream
	kindSend kind = "send" // the server sends one
	kindIdle kind = "idle" // connections on which nothing happens
	kindRead kind = "read" // random reads of a file
	kindNop  kind = "nop"  // operations that do nothing
)

// cell is one entry of the matrix.
type cell struct {
	Name   string
	Kind   kind
	Conns  int  // connections or goroutines
	Size   int  // of a message or read
	Pinned bool // the server on the first processor, the load on the second
	Direct bool
	Bytes  int64 // of a stream

	quick bool // part of the quick run
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

const readSize = 4 * kib

// group is what a cell's tables and plots have in common.
func (c cell) group() string {
	where := "not pinned"
	if c.Pinned {
		where = "one CPU each"
	}
	switch c.Kind {
	case kindEcho:
		return fmt.Sprintf("TCP echo, %s, %s", sizeName(c.Size), where)
	case kindOpen:
		return fmt.Sprintf("TCP echo at a fixed rate, %s, %s", sizeName(c.Size), where)
	case kindRecv, kindSend:
		return "TCP stream, " + where
	case kindIdle:
		return "Idle connections"
	case kindRead:
		if c.Direct {
			return "Random 4 KiB reads, O_DIRECT"
		}
		return "Random 4 KiB reads, page cache"
	}
	return "Overhead of an operation"
}

// unit is what one operation of the cell is.
func (c cell) unit() string {
	switch c.Kind {
	case kindEcho, kindOpen:
		return "messages"
	case kindRecv, kindSend:
		return "MiB"
	case kindRead:
		return "reads"
	}
	return "operations"
}

// needsFDs is how many descriptors one process needs for it.
func (c cell) needsFDs() int {
	if c.Kind == kindRead || c.Kind == kindNop {
		return 64
	}
	return c.Conns + 64
}

func (c cell) network() bool { return c.Kind != kindRead && c.Kind != kindNop }

func sizeName(n int) string {
	switch {
	case n >= gib:
		return fmt.Sprintf("%dGiB", n/gib)
	case n >= mib:
		return fmt.Sprintf("%dMiB", n/mib)
	case n >= kib:
		return fmt.Sprintf("%dKiB", n/kib)
	}
	return fmt.Sprintf("%dB", n)
}

func countName(n int) string {
	if n >= 10_000 && n%1000 == 0 {
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

// matrix returns all cells, in the order in which they are run.
func matrix() []cell {
	var cells []cell
	place := func(pinned bool) string {
		if pinned {
			return "pinned"
		}
		return "free"
	}
	for _, size := range []int{64, kib, 16 * kib} {
		for _, pinned := range []bool{true, false} {
			for _, conns := range []int{1, 64, 512, 10_000} {
				if size == 16*kib && conns > 512 {
					continue
				}
				cells = append(cells, cell{
					Name: fmt.Sprintf("echo/%s/c%s/%s", sizeName(size), countName(conns), place(pinned)),
					Kind: kindEcho, Conns: conns, Size: size, Pinned: pinned,
					quick: size == 64 && conns <= 512 || size == 16*kib && conns == 64 && pinned,
				})
			}
		}
	}
	for _, conns := range []int{64, 512} {
		cells = append(cells, cell{Name: fmt.Sprintf("open/64B/c%d/pinned", conns),
			Kind: kindOpen, Conns: conns, Size: 64, Pinned: true})
	}
	for _, pinned := range []bool{true, false} {
		for _, k := range []kind{kindRecv, kindSend} {
			cells = append(cells, cell{Name: fmt.Sprintf("stream/1GiB/%s/%s", k, place(pinned)),
				Kind: k, Conns: 1, Bytes: gib, Pinned: pinned, quick: pinned})
		}
	}
	cells = append(cells, cell{Name: "idle/c1000", Kind: kindIdle, Conns: 1000, Size: 64, quick: true})
	for _, g := range []int{1, 32, 128, 1024} {
		cells = append(cells, cell{Name: fmt.Sprintf("randread/direct/g%d", g),
			Kind: kindRead, Conns: g, Size: readSize, Direct: true, quick: true})
	}
	for _, g := range []int{1, 8, 128} {
		cells = append(cells, cell{Name: fmt.Sprintf("randread/cached/g%d", g),
			Kind: kindRead, Conns: g, Size: readSize, quick: true})
	}
	for _, g := range []int{1, 64} {
		cells = append(cells, cell{Name: fmt.Sprintf("overhead/nop/g%d", g), Kind: kindNop, Conns: g, quick: true})
	}
	return cells
}

// choose returns the cells that a run consists of. A pattern chooses from all
// of them, also in a quick run.
func choose(cells []cell, pattern string, quick bool) ([]cell, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var chosen []cell
	for _, c := range cells {
		if re.MatchString(c.Name) && (c.quick || !quick || pattern != "") {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no cell matches %q; -list lists them", pattern)
	}
	return chosen, nil
}

// pace is how long things take.
type pace struct {
	rounds        int
	warm, measure time.Duration
	idle          time.Duration
	fileSize      int64
}

func paceOf(quick bool) pace {
	if quick {
		return pace{rounds: 3, warm: 150 * time.Millisecond, measure: 400 * time.Millisecond,
			idle: 5 * time.Second, fileSize: 256 * mib}
	}
	return pace{rounds: 7, warm: 250 * time.Millisecond, measure: 800 * time.Millisecond,
		idle: 10 * time.Second, fileSize: gib}
}
