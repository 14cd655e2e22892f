package testkit

import (
	"fmt"
	"os"
	"testing"
)

const noSkipEnv = "YAMANOTE_TEST_NOSKIP"

// NoSkips reports whether tests are not allowed to skip in this run.
func NoSkips() bool { return os.Getenv(noSkipEnv) == "1" }

// Skip ends the test as skipped, for a reason that it must give, or as failed
// where [NoSkips] holds. A test calls nothing else to skip; one that is merely
// slow does less under -short and does not skip.
func Skip(t testing.TB, reason string, args ...any) {
	t.Helper()
	reason = fmt.Sprintf(reason, args...)
	if NoSkips() {
		t.Fatalf("testkit: this run may not skip (%s=1), but the test would: %s", noSkipEnv, reason)
	}
	t.Skip(reason)
}

// NeedKernel skips the test if the running kernel is older than the one that
// brought the feature, and only then: on a newer kernel a feature that is
// missing is for the test to report. That kind of skip is allowed in every
// run, as no run on this kernel could do better.
func NeedKernel(t testing.TB, major, minor int, feature string) {
	t.Helper()
	haveMajor, haveMinor, err := kernelVersion()
	if err != nil {
		t.Fatalf("testkit: %s needs Linux %d.%d, and the running version is unknown: %v", feature, major, minor, err)
	}
	if haveMajor < major || haveMajor == major && haveMinor < minor {
		t.Skipf("%s needs Linux %d.%d, this is %d.%d", feature, major, minor, haveMajor, haveMinor)
	}
}

// parseRelease returns the first two numbers of what uname calls the release.
func parseRelease(release string) (major, minor int, err error) {
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return 0, 0, fmt.Errorf("kernel release %q: %w", release, err)
	}
	return major, minor, nil
}
