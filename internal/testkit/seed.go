package testkit

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

const seedEnv = "YAMANOTE_SEED"

// Seed returns the seed of a test that does things at random: the number in
// YAMANOTE_SEED, or another one each time. If the test fails it says how to
// have the same again.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64() >> 32 // short enough to be typed
	if s := os.Getenv(seedEnv); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatalf("testkit: %s is not a number: %v", seedEnv, err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("testkit: replay with %s=%d go test -count=1 -run='^%s$'", seedEnv, seed, t.Name())
		}
	})
	return seed
}
