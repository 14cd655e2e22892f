//go:build linux

package main

import "fmt"

// fileGroup and fileUnit are group and unit of the cells of files.
func (c cell) fileGroup() string {
	switch c.Kind {
	case kindSeqRead:
		return "Sequential reads of a file, " + c.cache()
	case kindSeqWrite:
		return "Sequential writes over a file, " + c.cache()
	case kindAppend:
		return fmt.Sprintf("Durable appends of %s", sizeName(c.Size))
	case kindTree:
		return "A tree of files of 4 KiB walked and read, " + c.cache()
	case kindStat:
		return "Status of many files"
	}
	return "Copy of a file of " + sizeName(int(c.Bytes))
}

func (c cell) fileUnit() string {
	switch c.Kind {
	case kindSeqRead, kindSeqWrite, kindCopy:
		return "MiB"
	case kindAppend:
		return "records"
	}
	return "files"
}

// cache says where the data of a cell are before.
func (c cell) cache() string {
	switch {
	case c.Direct:
		return "O_DIRECT"
	case c.Cold:
		return "not in the page cache"
	}
	return "page cache"
}

// cacheName is the same in names.
func (c cell) cacheName() string {
	switch {
	case c.Direct:
		return "direct"
	case c.Cold:
		return "cold"
	}
	return "cached"
}

// named gives a cell of files its name.
func (c cell) named(prefix, suffix string) cell {
	c.Name = prefix + "/" + c.cacheName() + "/" + suffix
	return c
}

// sequentialSize bounds the files that are read and written from one end to
// the other, so that those in the page cache stay there and those written are
// written in an instant.
const sequentialSize = 128 * mib

func sequentialCells() []cell {
	var cells []cell
	for _, k := range []kind{kindSeqRead, kindSeqWrite} {
		for _, where := range []cell{{Direct: true}, {}, {Cold: true}} {
			if k == kindSeqWrite && where.Cold {
				continue
			}
			for _, size := range []int{64 * kib, mib} {
				c := where
				c.Kind, c.Conns, c.Size, c.Bytes = k, 1, size, sequentialSize
				c.quick = size == mib && c.Direct && k == kindSeqRead
				cells = append(cells, c.named(string(k), sizeName(size)))
			}
		}
	}
	return cells
}

// recordSize is the size of what is appended.
const recordSize = 256

func appendCells() []cell {
	var cells []cell
	for _, g := range []int{1, 8, 64, 256} {
		cells = append(cells, cell{Name: fmt.Sprintf("append/256B/g%d", g),
			Kind: kindAppend, Conns: g, Size: recordSize, quick: g == 64})
	}
	return cells
}

// treeFiles is how many files a tree has, treeWorkers how many goroutines
// there are to read or look at them.
const (
	treeFiles   = 4000
	treeWorkers = 8
)

func treeCells() []cell {
	var cells []cell
	for _, g := range []int{1, treeWorkers, 64} {
		for _, cold := range []bool{false, true} {
			c := cell{Kind: kindTree, Conns: g, Size: 4 * kib, Cold: cold, quick: g == treeWorkers && cold}
			cells = append(cells, c.named("tree", fmt.Sprintf("g%d", g)))
		}
	}
	for _, g := range []int{1, treeWorkers} {
		cells = append(cells, cell{Name: fmt.Sprintf("stat/cached/g%d", g), Kind: kindStat, Conns: g})
	}
	return cells
}

func copyCells() []cell {
	var cells []cell
	for _, cold := range []bool{false, true} {
		c := cell{Kind: kindCopy, Conns: 1, Bytes: sequentialSize, Cold: cold, quick: !cold}
		cells = append(cells, c.named("copy", sizeName(sequentialSize)))
	}
	return cells
}

// ofFiles reports whether the cell is one of those in this file.
func (c cell) ofFiles() bool { return !c.network() && c.Kind != kindRead && c.Kind != kindNop }
