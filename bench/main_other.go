//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintln(os.Stderr, "error: the bench measures io_uring and needs Linux, not", runtime.GOOS)
	os.Exit(1)
}
