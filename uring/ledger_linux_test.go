package uring

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// ledger keeps account of the registration calls that the tests have made: how
// often the kernel carried each out, and how often it refused.
var ledger struct {
	mu            sync.Mutex
	done, refused [IORING_REGISTER_LAST]int
}

func init() {
	registered = func(op RegisterOp, errno syscall.Errno) {
		if op >= IORING_REGISTER_LAST {
			return
		}
		ledger.mu.Lock()
		defer ledger.mu.Unlock()
		if errno == 0 {
			ledger.done[op]++
		} else {
			ledger.refused[op]++
		}
	}
	testkit.OnExit("registration calls without a test", checkLedger)
}

// neverDone are the calls that nothing but special hardware carries out.
var neverDone = map[RegisterOp]bool{
	IORING_REGISTER_ZCRX_IFQ:   true,
	IORING_REGISTER_ZCRX_CTRL:  true,
	IORING_REGISTER_BPF_FILTER: true,
}

// checkLedger returns an error if the whole of the tests has left out a
// registration call of the table: each must have been made and, if the kernel
// knows it, been carried out.
func checkLedger() error {
	if !wholeRun() || ringDenied() != nil {
		return nil
	}
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	var missing []string
	for op := range IORING_REGISTER_LAST {
		since, _ := op.Since()
		switch {
		case ledger.done[op] > 0:
		case ledger.refused[op] == 0 && runningVersion().AtLeast(since):
			missing = append(missing, op.String()+" was never made")
		case !neverDone[op] && runningVersion().AtLeast(since):
			missing = append(missing, op.String()+" was never carried out")
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s", strings.Join(missing, ", "))
	}
	return nil
}

// wholeRun reports whether all tests have been run.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}
