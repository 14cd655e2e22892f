package testkit

import (
	"fmt"
	"runtime"
	"strings"
)

// allStacks returns the stacks of all goroutines, that of the caller first.
func allStacks() string {
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return string(buf[:n])
		}
	}
}

// stack is one goroutine in a dump.
type stack struct {
	id   uint64
	root string // the function that the go statement started
	text string
}

// parseStacks splits a dump into goroutines. The runtime never uses an id
// twice, so ids tell old goroutines from new ones.
func parseStacks(dump string) []stack {
	var all []stack
	for block := range strings.SplitSeq(dump, "\n\n") {
		block = strings.TrimSpace(block)
		var s stack
		if _, err := fmt.Sscanf(block, "goroutine %d ", &s.id); err != nil {
			continue
		}
		s.text = block
		s.root = rootFunc(block)
		all = append(all, s)
	}
	return all
}

// rootFunc returns the name of the outermost function of one goroutine.
func rootFunc(block string) string {
	root := ""
	for i, line := range strings.Split(block, "\n") {
		switch {
		case i == 0, strings.HasPrefix(line, "\t"), strings.HasPrefix(line, "..."):
		case strings.HasPrefix(line, "created by "):
		case strings.HasPrefix(line, "runtime.goexit("):
		default:
			root = line
		}
	}
	if i := strings.LastIndexByte(root, '('); i > 0 {
		root = root[:i] // the arguments
	}
	return root
}

// harmless reports whether the goroutine belongs to the Go runtime, to the
// testing package or to the one loop that os/signal starts and never ends.
// What a caller of those packages starts with their help (signal.NotifyContext
// without its stop, say) has another root and counts.
func (s stack) harmless() bool {
	for _, own := range []string{"runtime.", "testing.", "os/signal.loop"} {
		if strings.HasPrefix(s.root, own) {
			return true
		}
	}
	return false
}
