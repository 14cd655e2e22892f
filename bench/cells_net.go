//go:build linux

package main

import (
	"fmt"
	"slices"
)

// udpCells are echoes of datagrams. There are as many under way as sockets of
// the load; the server has one.
func udpCells() []cell {
	var cells []cell
	for _, pinned := range []bool{true, false} {
		for _, conns := range []int{1, 64, 512} {
			cells = append(cells, cell{Name: fmt.Sprintf("udp/64B/c%d/%s", conns, place(pinned)),
				Kind: kindUDP, Conns: conns, Size: 64, Pinned: pinned, quick: conns == 64 && pinned})
		}
	}
	return cells
}

// churnCells are connections that are opened for a request of 64 bytes each,
// so many at a time.
func churnCells() []cell {
	var cells []cell
	for _, pinned := range []bool{true, false} {
		numbers := []int{1, 64, 512}
		if !pinned {
			numbers = []int{64}
		}
		for _, conns := range numbers {
			cells = append(cells, cell{Name: fmt.Sprintf("churn/64B/c%d/%s", conns, place(pinned)),
				Kind: kindChurn, Conns: conns, Size: 64, Pinned: pinned, quick: conns == 64 && pinned})
		}
	}
	return cells
}

// httpCells are requests to net/http.
func httpCells() []cell {
	var cells []cell
	for _, k := range []kind{kindHTTP, kindHTTPS} {
		name := "plain"
		if k == kindHTTPS {
			name = "tls"
		}
		for _, pinned := range []bool{true, false} {
			for _, conns := range []int{1, 64} {
				cells = append(cells, cell{Name: fmt.Sprintf("http/%s/c%d/%s", name, conns, place(pinned)),
					Kind: k, Conns: conns, Pinned: pinned, quick: k == kindHTTP && conns == 64 && pinned})
			}
		}
	}
	return cells
}

// inGo reports whether only servers in Go suit the cell.
func (c cell) inGo() bool { return slices.Contains([]kind{kindHTTP, kindHTTPS}, c.Kind) }
