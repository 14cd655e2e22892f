package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/yamanote-go/yamanote/uring"
)

// readWord returns a small file without the space around it, or nothing.
func readWord(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// readNumber returns a file that holds a number, or nil.
func readNumber(path string) *int {
	n, err := strconv.Atoi(readWord(path))
	if err != nil {
		return nil
	}
	return &n
}

// The numbers of capabilities.
const (
	capIPCLock  = 14
	capSysAdmin = 21
)

func readRules() Rules {
	rules := Rules{
		Disabled: readNumber("/proc/sys/kernel/io_uring_disabled"),
		Group:    readNumber("/proc/sys/kernel/io_uring_group"),
	}
	for line := range strings.Lines(readWord("/proc/self/status")) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Seccomp":
			rules.Seccomp = map[string]string{"0": "off", "1": "strict", "2": "filter"}[value]
		case "CapEff":
			if caps, err := strconv.ParseUint(value, 16, 64); err == nil {
				admin, lock := caps&(1<<capSysAdmin) != 0, caps&(1<<capIPCLock) != 0
				rules.Admin, rules.Lock = &admin, &lock
			}
		}
	}
	return rules
}

func readLimits() Limits {
	text := readWord("/proc/self/limits")
	return Limits{
		OpenFiles:         parseLimit(text, "Max open files"),
		LockedMemory:      parseLimit(text, "Max locked memory"),
		SubmissionEntries: uring.MaxSQEntries,
		CompletionEntries: uring.MaxCQEntries,
	}
}

// parseLimit finds a limit in the text of /proc/self/limits.
func parseLimit(text, name string) *Limit {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		fields := strings.Fields(rest)
		if !ok || len(fields) < 2 {
			continue
		}
		soft, okSoft := parseAmount(fields[0])
		hard, okHard := parseAmount(fields[1])
		if okSoft && okHard {
			return &Limit{Soft: soft, Hard: hard}
		}
	}
	return nil
}

func parseAmount(text string) (int64, bool) {
	if text == "unlimited" {
		return -1, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
