package file_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// handle is what both kinds of files have.
type handle interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.WriterAt
	io.Closer
	io.StringWriter
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	SetDeadline(t time.Time) error
}

var (
	_ handle = (*os.File)(nil)
	_ handle = (*file.File)(nil)
)

// scenarios are run on both, in a directory each, and must tell the same.
var scenarios = map[string]func(s *story){
	"read and write": func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		s.did(f.Write([]byte("hello")))
		s.did(f.WriteString(", world"))
		s.did(f.Write(nil))
		s.did(f.Seek(0, io.SeekStart))
		s.read(f, 5)
		s.read(f, 0)
		s.read(f, 100)
		s.read(f, 100)
		s.read(f, 0)
		s.did(f.Seek(-3, io.SeekEnd))
		s.read(f, 2)
		s.did(f.Seek(1, io.SeekCurrent))
		s.did(f.Seek(-1, io.SeekStart))
		s.did(f.Seek(0, 99))
		s.did(f.Sync())
		s.stat(f)
		s.did(f.Name())
	},
	"at offsets": func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE)
		s.did(f.WriteAt([]byte("abc"), 5))
		s.did(f.WriteAt([]byte("x"), -1))
		s.did(f.WriteAt(nil, -1))
		s.did(f.WriteAt(nil, 3))
		s.readAt(f, 3, 5)
		s.readAt(f, 8, 0)
		s.readAt(f, 9, 0)
		s.readAt(f, 3, 7)
		s.readAt(f, 3, 8)
		s.readAt(f, 3, 1<<40)
		s.readAt(f, 3, -1)
		s.readAt(f, 0, -1)
		s.readAt(f, 0, 3)
		s.did(f.Seek(0, io.SeekCurrent)) // has not moved
		s.stat(f)
	},
	"truncate": func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE)
		s.did(f.WriteString("hello"))
		s.did(f.Truncate(2))
		s.did(f.WriteString("x"))
		s.did(f.Truncate(-1))
		s.did(f.Truncate(10))
		s.readAt(f, 10, 0)
		s.stat(f)
	},
	"append": func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE|os.O_APPEND)
		s.did(f.WriteString("hello"))
		s.did(f.Seek(0, io.SeekStart))
		s.did(f.WriteString("world"))
		s.did(f.WriteAt([]byte("x"), 0))
		s.did(f.Seek(0, io.SeekStart))
		s.read(f, 100)
	},
	"closed": func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE)
		s.did(f.Close())
		s.did(f.Close())
		s.read(f, 1)
		s.read(f, 0)
		s.readAt(f, 1, 0)
		s.readAt(f, 0, 0)
		s.readAt(f, 1, -1)
		s.did(f.Write([]byte("x")))
		s.did(f.Write(nil))
		s.did(f.WriteAt([]byte("x"), 0))
		s.did(f.WriteAt([]byte("x"), -1))
		s.did(f.Seek(0, io.SeekStart))
		s.did(f.Sync())
		s.did(f.Truncate(0))
		s.did(f.SetDeadline(time.Time{}))
		s.stat(f)
		s.did(f.Name())
	},
	"read only": func(s *story) {
		s.write("f", "content")
		f := s.open("f", os.O_RDONLY)
		s.did(f.Write([]byte("x")))
		s.did(f.WriteAt([]byte("x"), 0))
		s.did(f.Truncate(0))
		s.read(f, 100)
		s.did(f.Sync())
	},
	"write only": func(s *story) {
		s.write("f", "content")
		f := s.open("f", os.O_WRONLY)
		s.read(f, 1)
		s.readAt(f, 1, 0)
		s.did(f.WriteString("X"))
	},
	"opening": func(s *story) {
		s.open("none", os.O_RDONLY)
		s.open("none/none", os.O_RDWR|os.O_CREATE)
		s.write("f", "content")
		s.open("f", os.O_RDWR|os.O_CREATE|os.O_EXCL)
		s.stat(s.open("f", os.O_RDWR|os.O_TRUNC))
		s.open("", os.O_RDONLY)
		s.open("a\x00b", os.O_RDONLY)
	},
	"directory": func(s *story) {
		f := s.open(".", os.O_RDONLY)
		s.read(f, 1)
		s.readAt(f, 1, 0)
		s.did(f.Write([]byte("x")))
		s.did(f.Sync())
		s.open(".", os.O_RDWR)
	},
	"devices": func(s *story) {
		f := s.openPath("/dev/null", os.O_RDWR)
		s.did(f.Write([]byte("x")))
		s.read(f, 1)
		s.read(s.openPath("/dev/zero", os.O_RDONLY), 3)
		s.did(s.openPath("/dev/full", os.O_RDWR).Write([]byte("x")))
	},
	"files without a size": func(s *story) {
		f := s.openPath("/proc/sys/kernel/ostype", os.O_RDONLY)
		s.readAt(f, 3, 2)
		s.read(f, 100)
		s.read(f, 100)
	},
	"no deadlines": func(s *story) {
		s.did(s.open("f", os.O_RDWR|os.O_CREATE).SetDeadline(time.Now()))
	},
	"synchronous": func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE|os.O_SYNC)
		s.did(f.WriteString("hello"))
		s.did(f.WriteAt([]byte("J"), 0))
		s.readAt(f, 5, 0)
	},
}

// TestParity runs the scenarios on package os and on package file and compares
// every result and the text and type of every error.
func TestParity(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, scenario := range scenarios {
			t.Run(name, func(t *testing.T) {
				want := tell(t, scenario, func(name string, flag int) (handle, error) {
					f, err := os.OpenFile(name, flag, 0o640)
					return f, err
				})
				got := tell(t, scenario, func(name string, flag int) (handle, error) {
					f, err := file.OpenConfig{Runtime: rt}.OpenFile(name, flag, 0o640)
					return f, err
				})
				require.NotEmpty(t, want)
				require.Equal(t, want, got)
			})
		}
	})
}

// story notes what happens in a scenario.
type story struct {
	t     *testing.T
	dir   string
	opens func(name string, flag int) (handle, error)
	lines []string
}

func tell(t *testing.T, scenario func(*story), opens func(name string, flag int) (handle, error)) []string {
	s := &story{t: t, dir: t.TempDir(), opens: opens}
	scenario(s)
	where := regexp.MustCompile(regexp.QuoteMeta(s.dir))
	for i, line := range s.lines {
		s.lines[i] = where.ReplaceAllString(line, "DIR")
	}
	return s.lines
}

// did notes results, the last of which may be an error.
func (s *story) did(results ...any) {
	line := ""
	for _, r := range results {
		err, _ := r.(error)
		line += fmt.Sprintf("%v ", r)
		for ; err != nil; err = errors.Unwrap(err) {
			line += fmt.Sprintf("[%T] ", err)
		}
	}
	s.lines = append(s.lines, line)
}

func (s *story) open(name string, flag int) handle {
	if name != "" {
		name = s.dir + "/" + name
	}
	return s.openPath(name, flag)
}

func (s *story) openPath(name string, flag int) handle {
	f, err := s.opens(name, flag)
	s.did("open", err)
	if err != nil {
		return nil
	}
	s.t.Cleanup(func() { _ = f.Close() })
	return f
}

func (s *story) write(name, content string) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600))
}

func (s *story) read(f handle, size int) {
	buf := make([]byte, size)
	n, err := f.Read(buf)
	s.did(n, string(buf[:n]), err)
}

func (s *story) readAt(f handle, size int, off int64) {
	buf := make([]byte, size)
	n, err := f.ReadAt(buf, off)
	s.did(n, string(buf[:n]), err)
}

func (s *story) stat(f handle) {
	info, err := f.Stat()
	if err != nil {
		s.did(err)
		return
	}
	s.did(info.Name(), info.Size(), info.Mode())
}

func TestNilFile(t *testing.T) {
	var f *file.File
	_, err := f.Read(nil)
	require.ErrorIs(t, err, os.ErrInvalid)
	_, err = f.WriteAt(nil, 0)
	require.ErrorIs(t, err, os.ErrInvalid)
	_, err = f.Stat()
	require.ErrorIs(t, err, os.ErrInvalid)
	require.ErrorIs(t, f.Close(), os.ErrInvalid)
	require.ErrorIs(t, f.Sync(), os.ErrInvalid)
}
