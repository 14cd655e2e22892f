package uring

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSocketCommands ask for queues and options of a socket.
func TestSocketCommands(t *testing.T) {
	p := prove(t, IORING_OP_URING_CMD)
	needKernel(p, Version{6, 7}, "commands of sockets")
	l := p.ring(8, Params{})
	a, b := tcpConnection(l)
	query := func(fd int, cmd SocketOp) func(*SQE) {
		return func(s *SQE) { s.PrepSocketCmd(fd, cmd, 0, 0, nil, 0) }
	}
	require.Zero(p, l.ok(query(b, SOCKET_URING_OP_SIOCINQ)))
	require.Zero(p, l.ok(query(a, SOCKET_URING_OP_SIOCOUTQ)))
	write(p, a, "queued")
	ready := l.start(func(s *SQE) { s.PrepPollAdd(b, unix.POLLIN, 0) })
	l.of(ready)
	require.Equal(p, 6, l.ok(query(b, SOCKET_URING_OP_SIOCINQ)))

	value := keep(l, int32(0))
	option := func(cmd SocketOp, level, name uint32, size uint32) func(*SQE) {
		return func(s *SQE) { s.PrepSocketCmd(a, cmd, level, name, unsafe.Pointer(value), size) }
	}
	require.Equal(p, 4, l.ok(option(SOCKET_URING_OP_GETSOCKOPT, unix.SOL_SOCKET, unix.SO_TYPE, 4)))
	require.EqualValues(p, unix.SOCK_STREAM, *value)
	*value = 1
	require.Zero(p, l.ok(option(SOCKET_URING_OP_SETSOCKOPT, unix.IPPROTO_TCP, unix.TCP_NODELAY, 4)))
	set, err := unix.GetsockoptInt(a, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	require.NoError(p, err)
	require.NotZero(p, set)
	l.fails(syscall.ENOPROTOOPT, option(SOCKET_URING_OP_SETSOCKOPT, unix.SOL_SOCKET, 9999, 4))
	// Of other levels than that of sockets themselves options can only be set.
	l.fails(syscall.EOPNOTSUPP, option(SOCKET_URING_OP_GETSOCKOPT, unix.IPPROTO_TCP, unix.TCP_NODELAY, 4))
	l.fails(syscall.EOPNOTSUPP, query(a, 99))
	file, _ := newFile(p, "")
	l.fails(syscall.EOPNOTSUPP, func(s *SQE) { s.PrepUringCmd(file, 0, 0) }) // has no commands
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepUringCmd(a, 0, 1<<30) })
}

// TestSocketName is told by kernels that have the command, and refused by others.
func TestSocketName(t *testing.T) {
	needKernel(t, Version{6, 7}, "commands of sockets")
	p := explore(t)
	l := p.ring(4, Params{})
	a, b := tcpConnection(l)
	name, size := keep(l, inetAddr{}), keep(l, uint32(unix.SizeofSockaddrInet4))
	for peer, want := range map[bool]int{false: a, true: b} {
		cqe := l.do(func(s *SQE) { s.PrepSocketName(a, name.addr(), size, peer) })
		if !running(p).AtLeast(Version{6, 19}) {
			require.Equal(p, syscall.EOPNOTSUPP, cqe.Errno())
			continue
		}
		require.Zero(p, cqe.Res)
		require.Equal(p, nameOf(l, want).raw, name.raw)
	}
}

// TestTxTimestamp tells when packets left.
func TestTxTimestamp(t *testing.T) {
	needKernel(t, Version{6, 17}, "transmit time stamps")
	p := explore(t)
	l := p.ring(8, Params{Flags: IORING_SETUP_CQE32})
	_, at := udpSocket(l)
	from, _ := udpSocket(l)
	require.NoError(p, unix.Connect(from, sockaddrOf(at)))
	require.NoError(p, unix.SetsockoptInt(from, unix.SOL_SOCKET, unix.SO_TIMESTAMPING,
		unix.SOF_TIMESTAMPING_TX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE|
			unix.SOF_TIMESTAMPING_OPT_ID|unix.SOF_TIMESTAMPING_OPT_TSONLY))
	id := l.start(func(s *SQE) { s.PrepTxTimestamp(from) })
	for key := range uint32(3) {
		before := time.Now()
		write(p, from, "packet")
		_, err := l.SubmitAndWait(1, hang)
		require.NoError(p, err)
		slot := (l.CQ().head & l.CQ().mask) << l.CQ().shift
		second := l.CQ().cqes[slot+1] // read before the slot is given back
		cqe := l.of(id)
		stamp, ok := cqe.TxTimestamp(*(*[2]uint64)(unsafe.Pointer(&second)))
		require.True(p, ok, "%v", *cqe)
		require.Equal(p, key, stamp.Key)
		require.Zero(p, stamp.Kind, "SCM_TSTAMP_SND")
		require.False(p, stamp.Hardware)
		require.WithinRange(p, stamp.When(), before.Add(-time.Second), time.Now().Add(time.Second))
	}
	require.Zero(p, l.ok(func(s *SQE) { s.PrepCancel(id, 0) }))
	cqe := l.of(id)
	require.Equal(p, syscall.ECANCELED, cqe.Errno())
	_, ok := cqe.TxTimestamp([2]uint64{})
	require.False(p, ok)

	small := p.ring(4, Params{})
	small.fails(syscall.EINVAL, func(s *SQE) { s.PrepTxTimestamp(from) }) // no room for the time
}

func sockaddrOf(at *inetAddr) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(at.raw.Port>>8 | at.raw.Port<<8), Addr: at.raw.Addr}
}

// TestDiscard is done on a loop device, if this process may have one.
func TestDiscard(t *testing.T) {
	needKernel(t, Version{6, 12}, "discard of blocks")
	p := explore(t)
	l := p.ring(4, Params{})
	file, path := newFile(p, "")
	l.fails(syscall.EOPNOTSUPP, func(s *SQE) { s.PrepDiscard(file, 0, 4096) }) // no block device

	dev, ok := loopDevice(p, file)
	if !ok {
		return // what an unprivileged process can see has been seen
	}
	require.NoError(p, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	text := []byte("discarded")
	_, err := unix.Pwrite(file, text, 8192)
	require.NoError(p, err)
	require.NoError(p, unix.IoctlSetInt(dev, unix.LOOP_SET_CAPACITY, 0))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepDiscard(dev, 8192, 4096) }))
	require.Equal(p, make([]byte, 9), []byte(contents(p, path))[8192:8201])
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepDiscard(dev, 1, 4096) })    // not a sector
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepDiscard(dev, 0, 2<<20) })   // past the end
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepUringCmd(dev, 0x1299, 0) }) // no such command
	if cqe := l.do(func(s *SQE) { s.PrepZoneResetAll(dev) }); running(p).AtLeast(Version{7, 0}) {
		require.Contains(p, []syscall.Errno{syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENOTTY}, cqe.Errno(), "it has no zones")
	} else {
		require.Equal(p, syscall.EINVAL, cqe.Errno())
	}
	ro, err := unix.Open("/proc/self/fd/"+strconv.Itoa(dev), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(ro) })
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepDiscard(ro, 0, 4096) })
}

// loopDevice returns a loop device on the file, which is detached with the test,
// and whether there is one.
func loopDevice(p *proof, file int) (int, bool) {
	p.Helper()
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false
	}
	defer func() { _ = unix.Close(control) }()
	for range 16 { // somebody else may take the one that is free
		n, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return -1, false
		}
		dev, err := unix.Open("/dev/loop"+strconv.Itoa(n), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, false
		}
		if err = unix.IoctlSetInt(dev, unix.LOOP_SET_FD, file); err == nil {
			p.Cleanup(func() {
				require.NoError(p, unix.IoctlSetInt(dev, unix.LOOP_CLR_FD, 0))
				require.NoError(p, unix.Close(dev))
			})
			return dev, true
		}
		_ = unix.Close(dev)
		if err != unix.EBUSY {
			return -1, false
		}
	}
	return -1, false
}

// TestOperationsOfNewerKernels: what this kernel does not have is refused by it,
// and named by the set of what it has.
func TestOperationsOfNewerKernels(t *testing.T) {
	p := proveRefusal(t, IORING_OP_NOP128, IORING_OP_URING_CMD128)
	l := p.ring(4, Params{})
	has, err := l.Probe()
	require.NoError(p, err)
	require.NoError(p, has.Require())
	require.NoError(p, has.Require(IORING_OP_NOP))

	var large SQE128
	// Where the kernel has them, it wants a ring with room for them.
	large.PrepNop128()
	l.fails(syscall.EINVAL, func(s *SQE) { *s = large.SQE })
	large.PrepUringCmd128(0, 0, 0)
	l.fails(syscall.EINVAL, func(s *SQE) { *s = large.SQE })

	for info := range Ops() {
		err := has.Require(IORING_OP_NOP, info.Op)
		if running(p).AtLeast(info.Since) {
			require.NoError(p, err)
			continue
		}
		require.ErrorContains(p, err, info.Name+" needs Linux "+info.Since.String()+", and this is Linux ")
		var unsupported *UnsupportedError
		require.ErrorAs(p, err, &unsupported)
		require.Equal(p, info.Op, unsupported.Op)
	}
	var none OpSet
	require.ErrorIs(p, none.Require(IORING_OP_NOP), errors.ErrUnsupported)
	require.ErrorContains(p, none.Require(250), "does not have operation OP(250)")

	cqe := l.do(func(s *SQE) { s.PrepTimeoutImmediate(uint64(short), 0, 0) })
	if running(p).AtLeast(Version{7, 1}) {
		require.Equal(p, ETIME, cqe.Errno())
	} else {
		require.Equal(p, syscall.EINVAL, cqe.Errno())
	}
}
