package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// describe prints what the machine is and whether it gives us a ring, and
// returns the latter.
func describe(w io.Writer, cfg proactor.Config) bool {
	fmt.Fprintf(w, "Yamanote beside the standard library, on this machine\n\n")
	system := runtime.GOOS + "/" + runtime.GOARCH
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system += ", kernel " + strings.TrimSpace(string(release))
	}
	item(w, "system", fmt.Sprintf("%s, %d processors for Go, %s", system, runtime.GOMAXPROCS(0), runtime.Version()))
	rt, err := proactor.New(cfg)
	if err != nil {
		item(w, "ring", "no; what follows is the standard library alone")
		reason(w, err)
		return false
	}
	defer kit.Shutdown(rt)
	b := rt.Backend()
	text := fmt.Sprintf("yes: %d submission and %d completion entries", b.Ring.SQEntries, b.Ring.CQEntries)
	if b.Ring.Restricted {
		text += ", restricted to the operations that the library uses"
	}
	item(w, "ring", text)
	item(w, "set up with", commas(b.Ring.Flags))
	item(w, "features", commas(b.Ring.Features))
	if q, err := uring.Query(); err == nil {
		item(w, "kernel has", fmt.Sprintf("%d kinds of operation, %d of registration", q.NrRequestOpcodes, q.NrRegisterOpcodes))
		if more := uring.SetupFlags(q.RingSetupFlags) &^ b.Ring.Flags; more != 0 {
			item(w, "not used", commas(more))
		}
	} else {
		item(w, "kernel has", "not asked: IORING_REGISTER_QUERY needs Linux 6.18")
	}
	return true
}

// reason prints why there is no ring, and what to do if anybody knows.
func reason(w io.Writer, err error) {
	var setup *uring.SetupError
	switch {
	case errors.As(err, &setup):
		item(w, "because", fmt.Sprintf("io_uring_setup says: %v; %s", setup.Errno, setup.Cause))
		item(w, "to do", setup.Remedy)
	case os.Getenv("YAMANOTE_BACKEND") == "std":
		item(w, "because", err.Error())
		item(w, "to do", "unset YAMANOTE_BACKEND")
	case runtime.GOOS != "linux":
		item(w, "because", err.Error())
		item(w, "to do", "run it on Linux, in a virtual machine for instance")
	default:
		item(w, "because", err.Error())
	}
}

// commas separates the names of flags.
func commas(flags fmt.Stringer) string { return strings.ReplaceAll(flags.String(), "|", ", ") }

const itemWidth = 13

// item prints a term and its text, wrapped.
func item(w io.Writer, term, text string) {
	for line := range strings.SplitSeq(wrap(text, lineWidth-itemWidth), "\n") {
		fmt.Fprintf(w, "%-*s%s\n", itemWidth, term, line)
		term = ""
	}
}

// wrap breaks a text at spaces into lines of at most width characters, as far
// as its words allow.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
