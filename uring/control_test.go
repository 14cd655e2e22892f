package uring

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// What is appended is found again, in its order and whatever the sizes.
func TestControlMessages(t *testing.T) {
	var control []byte
	want := []ControlMessage{{1, 2, []byte{}}, {-3, 4, []byte("x")}, {5, 6, []byte("12345678")}, {7, 8, []byte("nine bytes")[:9]}}
	room := 0
	for _, m := range want {
		control = AppendControl(control, m.Level, m.Type, m.Data)
		room += ControlSpace(len(m.Data))
		require.Len(t, control, room)
	}
	require.Equal(t, want, slices.Collect(ControlMessages(control)))
	n := 0
	for range ControlMessages(control) {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n, "it can be left early")

	// A message that was cut off is not delivered, those before it are.
	last := ControlSpace(9)
	for cut := 8; cut <= last; cut++ { // less is padding
		require.Equal(t, want[:3], slices.Collect(ControlMessages(control[:room-cut])))
	}
	// Padding may be missing behind the last.
	require.Equal(t, want, slices.Collect(ControlMessages(control[:room-7])))
}

func TestControlMessagesOfNonsense(t *testing.T) {
	for _, size := range []uint64{0, 1, uint64(controlHeader - 1), uint64(controlHeader + 1), 1 << 31, 1 << 63, ^uint64(0)} {
		b := make([]byte, controlHeader)
		copy(b, binary.NativeEndian.AppendUint64(nil, size)[:controlWord])
		require.Empty(t, slices.Collect(ControlMessages(b)), "%d", size)
	}
	require.Empty(t, slices.Collect(ControlMessages(nil)))
}

func TestControlMessagesAllocateNothing(t *testing.T) {
	control := AppendControl(AppendControl(nil, 1, 2, []byte("one")), 3, 4, []byte("two"))
	sum := 0
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for m := range ControlMessages(control) {
			sum += len(m.Data)
		}
	}))
	require.NotZero(t, sum)
}

// within reports whether part is empty or lies in whole.
func within(whole, part []byte) bool {
	if len(part) == 0 {
		return true
	}
	begin, at := uintptr(unsafe.Pointer(&whole[0])), uintptr(unsafe.Pointer(&part[0]))
	return at >= begin && at+uintptr(len(part)) <= begin+uintptr(len(whole))
}

// Whatever the bytes, messages lie in the buffer one behind the other, and
// appending them again gives what was read.
func FuzzControlMessages(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(make([]byte, 64))
	f.Add(AppendControl(AppendControl(nil, 1, 2, []byte("abc")), 3, 4, nil))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, control []byte) {
		messages := slices.Collect(ControlMessages(control))
		var again []byte
		for _, m := range messages {
			require.True(t, within(control, m.Data))
			require.Equal(t, len(m.Data), cap(m.Data), "nobody can append into the next")
			again = AppendControl(again, m.Level, m.Type, m.Data)
		}
		require.LessOrEqual(t, len(again), len(control)+controlWord)
		require.Equal(t, messages, slices.Collect(ControlMessages(again)))
	})
}

// Whatever the bytes and the sizes, the parts lie in the buffer, one behind the
// other, and are no longer than the request has room for.
func FuzzParseRecvmsg(f *testing.F) {
	f.Add([]byte(nil), 0, 0)
	f.Add(make([]byte, 16), 0, 0)
	f.Add(make([]byte, 100), 16, 32)
	f.Add(bytes.Repeat([]byte{0xff}, 60), 28, 16)
	f.Add(make([]byte, 20), -1, math.MaxInt)
	f.Fuzz(func(t *testing.T, buf []byte, namelen, controllen int) {
		m, ok := ParseRecvmsg(buf, namelen, controllen)
		if !ok {
			require.Equal(t, Recvmsg{}, m)
			require.True(t, namelen < 0 || controllen < 0 ||
				uint64(namelen)+uint64(controllen)+16 > uint64(len(buf)))
			return
		}
		require.LessOrEqual(t, len(m.Name), namelen)
		require.LessOrEqual(t, len(m.Control), controllen)
		for at, part := range map[int][]byte{16: m.Name, 16 + namelen: m.Control, 16 + namelen + controllen: m.Payload} {
			require.True(t, within(buf, part))
			if len(part) > 0 {
				require.Equal(t, &buf[at], &part[0])
			}
		}
		for c := range ControlMessages(m.Control) {
			require.True(t, within(m.Control, c.Data))
		}
	})
}
