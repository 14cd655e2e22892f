package uring

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if reason := ringDenied(); reason != nil && !testkit.NoSkips() {
		// An example cannot skip itself.
		fmt.Fprintln(os.Stderr, "the examples need a ring and are left out:", reason)
		skip := flag.Lookup("test.skip")
		if err := skip.Value.Set(alternative(skip.Value.String(), "^Example")); err != nil {
			panic(err)
		}
	}
	testkit.Main(m)
}

// alternative returns a pattern for what either of the two matches.
func alternative(a, b string) string {
	if a == "" {
		return b
	}
	return a + "|" + b
}
