//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/proactor"
)

// treeDirs is how many directories the files of a tree are spread over.
const treeDirs = 40

// smallTree makes the tree of small files, once. Each file is a block that
// says where it would be in a file of all of them.
func (l *lab) smallTree(ctx context.Context, files int) (string, error) {
	root := l.path("tree")
	if l.treeFiles == files {
		return root, nil
	}
	if err := l.room(int64(files) * 2 * readSize); err != nil {
		return "", err
	}
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	block := make([]byte, readSize)
	for i := range files {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		dir := filepath.Join(root, fmt.Sprintf("d%02d", i%treeDirs))
		if i < treeDirs {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return "", err
			}
		}
		fillBlocks(block, int64(i)*readSize)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%06d", i)), block, 0o644); err != nil {
			return "", err
		}
	}
	l.treeFiles = files
	return root, syncDir(root)
}

// syncDir writes out the file system that a directory is on: pages that are
// still to be written cannot be dropped from the cache.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))), f.Close())
}

// tree walks the tree and reads its files, or asks for the status of files that
// are known, with so many goroutines.
func (w *workload) tree(rt *proactor.Runtime) error {
	files := filesOf(rt)
	all, err := walk(w.spec.Dir, nil)
	if err != nil {
		return err
	}
	look := func(path string) error { return checkSmall(files, path) }
	pass := func() (int64, error) {
		return w.each(look, func(paths chan<- string) error {
			_, err := walk(w.spec.Dir, paths)
			return err
		})
	}
	if w.spec.Kind == kindStat {
		look = func(path string) error {
			info, err := files.stat(path)
			if err == nil && info.Size() != readSize {
				err = fmt.Errorf("%w: %s has %d bytes", errWrong, path, info.Size())
			}
			return err
		}
		pass = func() (int64, error) {
			return w.each(look, func(paths chan<- string) error {
				for _, path := range all {
					paths <- path
				}
				return nil
			})
		}
	}
	var prepare func() error
	if w.spec.Cold {
		prepare = func() error {
			for _, path := range all {
				if err := forget(path); err != nil {
					return err
				}
			}
			return nil
		}
	} else if _, err := pass(); err != nil { // brings them into the page cache
		return err
	}
	return w.passes(rt, prepare, pass)
}

// walk returns the files below a directory, or sends them as it finds them.
func walk(root string, to chan<- string) (all []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
		case to != nil:
			to <- path
		default:
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

// each has goroutines do something with each of the paths that produce sends,
// and returns how many those were.
func (w *workload) each(do func(string) error, produce func(chan<- string) error) (int64, error) {
	paths := make(chan string, 1024)
	var (
		wg     sync.WaitGroup
		counts = make([]int64, w.spec.Goroutines)
		errs   = make([]error, w.spec.Goroutines)
	)
	for i := range w.spec.Goroutines {
		wg.Go(func() {
			for path := range paths {
				if errs[i] == nil {
					errs[i] = do(path)
				}
				counts[i]++
			}
		})
	}
	err := produce(paths)
	close(paths)
	wg.Wait()
	var n int64
	for _, c := range counts {
		n += c
	}
	return n, errors.Join(append(errs, err)...)
}

// checkSmall reads a file of the tree and looks at what is in it.
func checkSmall(files fileSystemOf, path string) error {
	data, err := files.readFile(path)
	if err != nil {
		return err
	}
	var i int64
	if _, err := fmt.Sscanf(filepath.Base(path), "f%d", &i); err != nil {
		return err
	}
	if len(data) != readSize {
		return fmt.Errorf("%w: %s has %d bytes", errWrong, path, len(data))
	}
	return checkBlock(data, i*readSize)
}
