package sys_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

// Memory is found by its address, written through, and known to be gone when
// nothing but the address is left of it.
func TestMemoryAt(t *testing.T) {
	buf := make([]byte, 100)
	var sqe uring.SQE
	sqe.PrepRead(0, buf[10:30], 0)
	m := sys.MemoryAt(sqe.Addr, int(sqe.Len))
	require.Equal(t, 20, m.Size())
	b, there := m.Bytes()
	require.True(t, there)
	copy(b, "hello")
	require.Equal(t, "hello", string(buf[10:15]))
	b = nil
	runtime.GC()
	_, there = m.Bytes()
	require.True(t, there, "the buffer is still in use")
	runtime.KeepAlive(buf)

	buf = nil
	testkit.Eventually(t, func() bool {
		runtime.GC()
		_, there := m.Bytes()
		return !there
	}, "the garbage collector has not noticed that the memory is let go")
}

func TestMemoryOfNothing(t *testing.T) {
	var sqe uring.SQE
	sqe.PrepRead(0, nil, 0)
	b, there := sys.MemoryAt(sqe.Addr, int(sqe.Len)).Bytes()
	require.True(t, there)
	require.Empty(t, b)
}
