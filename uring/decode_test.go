package uring

import (
	"io/fs"
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestTimespec(t *testing.T) {
	require.Equal(t, Timespec{Sec: 90, Nsec: 5}, TimespecOf(90*time.Second+5))
	require.Equal(t, Timespec{}, TimespecOf(-time.Second))
	require.Equal(t, time.Duration(math.MaxInt64), TimespecOf(math.MaxInt64).Duration())
	require.Equal(t, 1500*time.Millisecond, Timespec{Sec: 1, Nsec: 5e8}.Duration())
	require.Equal(t, time.Duration(math.MaxInt64), Timespec{Sec: math.MaxInt64, Nsec: 1}.Duration())
	require.Equal(t, time.Duration(math.MinInt64), Timespec{Sec: math.MinInt64}.Duration())

	at := time.Date(2038, 1, 19, 3, 14, 8, 7, time.UTC)
	require.Equal(t, Timespec{Sec: 1 << 31, Nsec: 7}, TimespecAt(at))
	require.True(t, at.Equal(TimespecAt(at).Time()))
	require.Equal(t, Timespec{}, TimespecAt(time.Time{}))
}

func TestCopied(t *testing.T) {
	usage := IORING_NOTIF_USAGE_ZC_COPIED
	for _, c := range []struct {
		cqe    CQE
		copied bool
	}{
		{CQE{Flags: IORING_CQE_F_NOTIF, Res: int32(usage)}, true},
		{CQE{Flags: IORING_CQE_F_NOTIF}, false},
		{CQE{Flags: IORING_CQE_F_MORE, Res: int32(usage)}, false},
	} {
		require.Equal(t, c.copied, c.cqe.Copied())
		require.Zero(t, c.cqe.Errno(), "the flag is no error")
	}
}

func TestTxTimestampDecoding(t *testing.T) {
	cqe := CQE{Res: -1, Flags: IORING_CQE_F_MORE | IORING_CQE_F_TSTAMP_HW | 2<<IORING_TIMESTAMP_TYPE_SHIFT}
	got, ok := cqe.TxTimestamp([2]uint64{11, 22})
	require.True(t, ok)
	require.Equal(t, TxTimestamp{Key: math.MaxUint32, Kind: 2, Hardware: true, Time: Timespec{Sec: 11, Nsec: 22}}, got)
	require.Equal(t, time.Unix(11, 22), got.When())
	cqe.Flags = 0
	_, ok = cqe.TxTimestamp([2]uint64{11, 22})
	require.False(t, ok, "the last one tells no time")
}

func TestZeroCopiedDecoding(t *testing.T) {
	area := []byte("0123456789")
	cqe := CQE{Res: 4, Flags: IORING_CQE_F_MORE}
	got, ok := cqe.ZeroCopied([2]uint64{3<<IORING_ZCRX_AREA_SHIFT | 5})
	require.True(t, ok)
	require.Equal(t, ZeroCopied{Area: 3, Offset: 5, Len: 4}, got)
	data := got.Bytes(area)
	require.Equal(t, "5678", string(data))
	require.Equal(t, 4, cap(data))
	require.Equal(t, ZCRXRqe{Off: 3<<IORING_ZCRX_AREA_SHIFT | 5, Len: 4}, got.Refill(3<<IORING_ZCRX_AREA_SHIFT))

	for _, z := range []ZeroCopied{{Offset: 7, Len: 4}, {Offset: 11}, {Offset: math.MaxUint64, Len: 2}, {Len: 11}} {
		require.Nil(t, z.Bytes(area), "%v", z)
	}
	for _, res := range []int32{0, -105} {
		cqe.Res = res
		_, ok = cqe.ZeroCopied([2]uint64{})
		require.False(t, ok)
	}
}

func TestStatxModes(t *testing.T) {
	for mode, want := range map[uint16]fs.FileMode{
		0o100644: 0o644,
		0o040755: fs.ModeDir | 0o755,
		0o120777: fs.ModeSymlink | 0o777,
		0o010600: fs.ModeNamedPipe | 0o600,
		0o140600: fs.ModeSocket | 0o600,
		0o020666: fs.ModeDevice | fs.ModeCharDevice | 0o666,
		0o060660: fs.ModeDevice | 0o660,
		0o107755: fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o755,
	} {
		require.Equal(t, want, (&StatxResult{Mode: mode}).FileMode(), "%o", mode)
	}
}

// The fields of a child's siginfo lie behind the header, aligned as a pointer.
func TestSiginfoLayout(t *testing.T) {
	require.EqualValues(t, 128, unsafe.Sizeof(Siginfo{}))
	var s Siginfo
	b := unsafe.Slice((*int32)(s.Memory()), 32)
	for i := range b {
		b[i] = int32(i)
	}
	pid := 3
	if unsafe.Sizeof(uintptr(0)) == 8 {
		pid = 4
	}
	require.Equal(t, []int{pid, pid + 2}, []int{s.PID(), s.Status()})
	require.EqualValues(t, pid+1, s.UID())
	require.EqualValues(t, 0, s.Signo)
}

// The words of waiters are addresses of the heap.
func TestFutexWaitvFilling(t *testing.T) {
	word := new(uint32)
	w := FutexWaitv{Resv: 1}
	w.Wait(word, 5, FUTEX2_SIZE_U32)
	require.Equal(t, FutexWaitv{Val: 5, Uaddr: num(word), Flags: FUTEX2_SIZE_U32}, w)
}
