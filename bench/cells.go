//go:build linux

package main

import (
	"fmt"
	"regexp"
	"slices"
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

	kindUDP   kind = "udp"   // datagrams sent back, as fast as it goes
	kindChurn kind = "churn" // connections of one request each
	kindHTTP  kind = "http"  // requests over connections that stay
	kindHTTPS kind = "https" // the same over TLS

	kindSeqRead  kind = "seqread"  // a file from its beginning to its end
	kindSeqWrite kind = "seqwrite" // likewise, written over
	kindAppend   kind = "append"   // records that are on the disk when a call returns
	kindTree     kind = "tree"     // small files, found by walking and read whole
	kindStat     kind = "stat"     // what is said of many files
	kindCopy     kind = "copy"     // a large file
)

// cell is one entry of the matrix.
type cell struct {
	Name   string
	Kind   kind
	Conns  int  // connections or goroutines
	Size   int  // of a message, read, write or record
	Pinned bool // the server on the first processor, the load on the second
	Direct bool
	Cold   bool    // what is read is not in the page cache
	Bytes  int64   // of a stream
	Part   float64 `json:",omitempty"` // of what the standard library reaches in a closed loop: the rate of an open one

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
		return fmt.Sprintf("TCP echo at a fixed rate, %s, %d connections, %s", sizeName(c.Size), c.Conns, where)
	case kindRecv, kindSend:
		return "TCP stream, " + where
	case kindIdle:
		return "Idle connections"
	case kindRead:
		if c.Direct {
			return "Random 4 KiB reads, O_DIRECT"
		}
		return "Random 4 KiB reads, page cache"
	case kindUDP:
		return fmt.Sprintf("UDP echo, %s, %s", sizeName(c.Size), where)
	case kindChurn:
		return "Connections of one request, " + where
	case kindHTTP:
		return "net/http with keep-alive, " + where
	case kindHTTPS:
		return "net/http with keep-alive over TLS, " + where
	case kindNop:
		return "Overhead of an operation"
	}
	return c.fileGroup()
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
	case kindUDP:
		return "datagrams"
	case kindChurn:
		return "connections"
	case kindHTTP, kindHTTPS:
		return "requests"
	case kindNop:
		return "operations"
	}
	return c.fileUnit()
}

// needsFDs is how many descriptors one process needs for it.
func (c cell) needsFDs() int {
	if !c.network() {
		return 64
	}
	return c.Conns + 64
}

// paced returns the pace of the cell. With very many connections a message
// takes a tenth of a second, of which there must be many in what is measured.
func (c cell) paced(p pace) pace {
	if c.network() && c.Conns >= most {
		p.warm, p.measure = max(p.warm, 300*time.Millisecond), max(2*p.measure, 1200*time.Millisecond)
	}
	return p
}

// network reports whether a load generator drives the cell.
func (c cell) network() bool {
	switch c.Kind {
	case kindEcho, kindOpen, kindRecv, kindSend, kindIdle, kindUDP, kindChurn, kindHTTP, kindHTTPS:
		return true
	}
	return false
}

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
	return slices.Concat(echoCells(), openCells(), streamCells(), udpCells(), churnCells(), httpCells(), idleCells(),
		readCells(), sequentialCells(), appendCells(), treeCells(), copyCells(), nopCells())
}

func place(pinned bool) string {
	if pinned {
		return "pinned"
	}
	return "free"
}

// most is the largest number of connections and of goroutines.
const most = 10_000

func echoCells() []cell {
	var cells []cell
	for _, size := range []int{64, kib, 16 * kib} {
		for _, pinned := range []bool{true, false} {
			numbers := []int{1, 64, 512, most}
			if size == 64 {
				// How cost grows, and where few connections are neither one
				// goroutine alone nor enough for a batch.
				numbers = []int{1, 2, 4, 8, 16, 64, 512, 2048, most}
			}
			for _, conns := range numbers {
				cells = append(cells, cell{
					Name: fmt.Sprintf("echo/%s/c%s/%s", sizeName(size), countName(conns), place(pinned)),
					Kind: kindEcho, Conns: conns, Size: size, Pinned: pinned,
					quick: size == 64 && slices.Contains([]int{1, 4, 64, 512}, conns) || size == 16*kib && conns == 64 && pinned,
				})
			}
		}
	}
	return cells
}

func openCells() []cell {
	var cells []cell
	add := func(conns int, pinned bool, parts ...float64) {
		for _, part := range parts {
			cells = append(cells, cell{
				Name: fmt.Sprintf("open/64B/c%d/%.0f%%/%s", conns, 100*part, place(pinned)),
				Kind: kindOpen, Conns: conns, Size: 64, Pinned: pinned, Part: part, quick: conns == 64 && pinned && part == 0.5,
			})
		}
	}
	add(64, true, 0.2, 0.5, 0.8)
	add(512, true, 0.5)
	add(64, false, 0.2, 0.5)
	return cells
}

func streamCells() []cell {
	var cells []cell
	for _, pinned := range []bool{true, false} {
		for _, k := range []kind{kindRecv, kindSend} {
			cells = append(cells, cell{Name: fmt.Sprintf("stream/1GiB/%s/%s", k, place(pinned)),
				Kind: k, Conns: 1, Bytes: gib, Pinned: pinned, quick: pinned})
		}
	}
	return cells
}

func idleCells() []cell {
	var cells []cell
	for _, conns := range []int{1, 1000, most} {
		cells = append(cells, cell{Name: "idle/c" + countName(conns), Kind: kindIdle, Conns: conns, Size: 64, quick: conns == 1000})
	}
	return cells
}

func readCells() []cell {
	var cells []cell
	for _, g := range []int{1, 32, 128, 1024, most} {
		cells = append(cells, cell{Name: "randread/direct/g" + countName(g),
			Kind: kindRead, Conns: g, Size: readSize, Direct: true, quick: g <= 1024})
	}
	for _, g := range []int{1, 8, 128, 1024, most} {
		cells = append(cells, cell{Name: "randread/cached/g" + countName(g),
			Kind: kindRead, Conns: g, Size: readSize, quick: g == 1 || g == 128})
	}
	return cells
}

func nopCells() []cell {
	var cells []cell
	for _, g := range []int{1, 64, 1024} {
		cells = append(cells, cell{Name: fmt.Sprintf("overhead/nop/g%d", g), Kind: kindNop, Conns: g, quick: g <= 64})
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
	threads       int // of the load generator
}

func paceOf(quick bool) pace {
	if quick {
		return pace{rounds: 3, warm: 150 * time.Millisecond, measure: 400 * time.Millisecond,
			idle: 3 * time.Second, fileSize: 256 * mib, threads: 1}
	}
	return pace{rounds: 5, warm: 200 * time.Millisecond, measure: 600 * time.Millisecond,
		idle: 10 * time.Second, fileSize: gib, threads: 1}
}
