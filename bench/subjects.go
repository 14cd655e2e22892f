package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// subject is something that is measured.
type subject struct {
	Name  string
	Kinds []kind // what it can do
	why   string // why it is not there, if it is not
	// command returns the server program of subjects that are not this
	// program itself.
	command func(c cell) *exec.Cmd
}

func (s subject) does(k kind) bool { return slices.Contains(s.Kinds, k) }

//go:embed c
var cSources embed.FS

// subjects returns all, those that are not to be had with the reason.
func subjects(dir string) []subject {
	servers := []kind{echo, source, sink, idle}
	all := append(slices.Clone(servers), randread)
	ours := append(slices.Clone(all), overhead)
	list := []subject{
		{Name: "std", Kinds: all},
		{Name: "yamanote", Kinds: ours},
		{Name: "yamanote:behind", Kinds: []kind{echo}},
		{Name: "yamanote:2", Kinds: []kind{echo, randread}},
		{Name: "channel", Kinds: []kind{overhead}},
		{Name: "gnet", Kinds: []kind{echo, idle}},
		{Name: "netpoll", Kinds: []kind{echo, idle}},
		cSubject(dir, "c-epoll", "epoll.c"),
		cSubject(dir, "c-uring", "uring.c", "-luring"),
		fioSubject("fio-uring"),
		fioSubject("fio-psync"),
	}
	return list
}

// cSubject builds a C program.
func cSubject(dir, name, source string, libs ...string) subject {
	s := subject{Name: name, Kinds: []kind{echo, idle}}
	if err := buildC(dir, name, source, libs); err != nil {
		s.why = err.Error()
		return s
	}
	s.command = func(c cell) *exec.Cmd {
		// Buffers as large as the messages, within reason: one completion for
		// each message.
		return exec.Command(filepath.Join(dir, name), fmt.Sprint(max(2048, c.Size)))
	}
	return s
}

func buildC(dir, name, source string, libs []string) error {
	cc, err := exec.LookPath("gcc")
	if err != nil {
		return errors.New("no gcc")
	}
	for _, f := range []string{source, "common.h"} {
		b, err := cSources.ReadFile("c/" + f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
			return err
		}
	}
	args := append([]string{"-O2", "-o", filepath.Join(dir, name), filepath.Join(dir, source)}, libs...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(string(out), "\n")
		return fmt.Errorf("not built (liburing 2.3 or later is needed for c-uring): %s", first)
	}
	return nil
}

func fioSubject(name string) subject {
	s := subject{Name: name, Kinds: []kind{randread}}
	if _, err := exec.LookPath("fio"); err != nil {
		s.why = "fio is not installed"
	}
	return s
}

// fits reports whether a subject takes part in a cell.
func (s subject) fits(c cell) bool {
	switch {
	case s.why != "" || !s.does(c.Kind):
		return false
	case c.Kind == randread && s.Name == "fio-psync":
		return c.Direct && c.Goroutines <= 128 // a process for each
	case c.Kind == randread && s.Name == "fio-uring":
		return c.Direct
	case s.Name == "yamanote:2":
		return !c.Pinned // two rings on one processor are no use
	}
	return true
}
