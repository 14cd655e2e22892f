package file_test

import (
	"io"
	"os"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func init() {
	scenarios["fifo"] = func(s *story) {
		require.NoError(s.t, testkit.Mkfifo(s.dir+"/fifo"))
		f := s.open("fifo", os.O_RDWR)
		stream(s, f)
	}
	scenarios["non-blocking fifo"] = func(s *story) {
		require.NoError(s.t, testkit.Mkfifo(s.dir+"/fifo"))
		s.open("fifo", os.O_WRONLY|syscall.O_NONBLOCK)
		f := s.open("fifo", os.O_RDONLY|syscall.O_NONBLOCK)
		s.read(f, 5)
		s.read(f, 0)
		s.did(f.Write([]byte("x")))
		s.did(f.Write(nil))
		s.did(f.Close())
	}
	scenarios["terminal"] = func(s *story) {
		f := s.openPath("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY)
		s.did(f.SetDeadline(time.Now().Add(-time.Second)))
		s.read(f, 1)
		s.did(f.SetDeadline(time.Time{}))
		s.did(f.Seek(0, io.SeekStart))
		s.readAt(f, 1, 0)
		s.did(f.Truncate(0))
		s.did(f.Close())
		s.read(f, 1)
	}
}

// stream does to a stream that gives back what is written to it all that there is
// to do.
func stream(s *story, f handle) {
	s.did(f.Write([]byte("hello, world")))
	s.read(f, 5)
	s.read(f, 0)
	s.read(f, 100)
	s.did(f.Write(nil))
	s.did(f.WriteString(""))
	s.did(f.SetDeadline(time.Now().Add(-time.Second)))
	s.read(f, 1)
	s.read(f, 0)
	s.did(f.Write([]byte("x")))
	s.did(f.Write(nil))
	s.did(f.SetDeadline(time.Now().Add(5 * time.Millisecond)))
	s.read(f, 1)
	s.did(f.SetDeadline(time.Time{}))
	s.did(f.Seek(0, io.SeekStart))
	s.readAt(f, 1, 0)
	s.readAt(f, 1, -1)
	s.did(f.WriteAt([]byte("x"), 0))
	s.did(f.WriteAt([]byte("x"), -1))
	s.did(f.Truncate(0))
	s.did(f.Sync())
	s.stat(f)
	s.did(f.Close())
	s.did(f.Close())
	s.read(f, 1)
	s.read(f, 0)
	s.readAt(f, 1, 0)
	s.did(f.Write([]byte("x")))
	s.did(f.Write(nil))
	s.did(f.Seek(0, io.SeekStart))
	s.did(f.SetDeadline(time.Now()))
	s.did(f.SetDeadline(time.Time{}))
	s.stat(f)
	s.did(f.Name())
}
