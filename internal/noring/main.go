// Command noring runs another command without io_uring, the way a container
// with the usual seccomp profile does: in it and in all that it starts the
// three system calls of io_uring fail with EPERM.
//
//	go run ./internal/noring -- go test ./...
//
// With -probe in place of a command it says whether this process may have a
// ring, and exits with 1 if not.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// The exit codes of env(1) and nohup(1): our own failure, a command that cannot
// be run and one that is not found.
const (
	exitOwn      = 125
	exitCannot   = 126
	exitNotFound = 127
)

func main() { os.Exit(run(os.Args[1:])) }

// run returns only if it could not become the command.
func run(args []string) int {
	if len(args) == 1 && args[0] == "-probe" {
		return probe()
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: noring [--] COMMAND [ARGUMENT...]\n       noring -probe")
		return exitOwn
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return fail(exitNotFound, err)
	}
	if err := sys.DenyRing(); err != nil {
		return fail(exitOwn, err)
	}
	return fail(exitCannot, os.NewSyscallError("exec "+path, syscall.Exec(path, args, os.Environ())))
}

func probe() int {
	if err := sys.TryRing(); err != nil {
		fmt.Println("io_uring: no:", err)
		return 1
	}
	fmt.Println("io_uring: yes")
	return 0
}

func fail(code int, err error) int {
	fmt.Fprintln(os.Stderr, "noring:", err)
	return code
}
