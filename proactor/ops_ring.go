package proactor

import (
	"slices"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// RingMessage posts a completion with the given result and user data to a ring
// of the program's own, whose descriptor is Ring. It needs Linux 5.18. The rings
// of a Runtime ignore what they do not expect, and count it as Stats.Stale.
type RingMessage struct {
	nothing
	Ring     int
	Value    int32 // the result
	UserData uint64
}

// Prepare implements Operation.
func (o RingMessage) Prepare(r *Request) error {
	r.SQE.PrepMsgRing(o.Ring, uint32(o.Value), o.UserData, 0)
	return prepared(r)
}

// Command passes a command to the driver behind a file. What Argument means and
// what memory it refers to, which Keep must hold, is up to the command, as is
// the result. It needs Linux 5.19.
type Command struct {
	FD       int
	Code     uint32
	Argument [16]byte
	Keep     any
}

// Prepare implements Operation.
func (o Command) Prepare(r *Request) error {
	r.SQE.PrepUringCmd(o.FD, o.Code, 0)
	*r.SQE.Cmd() = o.Argument
	err := prepared(r)
	r.Keep = o.Keep
	return err
}

// Result implements Operation.
func (o Command) Result(_ *Request, c driver.Completion) (int32, error) { return c.Res, nil }

// UpdateFiles puts descriptors into the slots of the ring's table of registered
// files, from the slot First on; -1 empties a slot. The result is how many
// were changed, which is less than all if one of them was not valid. It fails
// with ENXIO if the ring has no table.
type UpdateFiles struct {
	count
	First int
	FDs   []int32
}

// Prepare implements Operation.
func (o UpdateFiles) Prepare(r *Request) error {
	const most = 1 << 20
	if len(o.FDs) == 0 || len(o.FDs) > most || o.First < 0 || o.First > most {
		return invalid("UpdateFiles of %d slots from %d on: want at least one, and slots from 0 to %d", len(o.FDs), o.First, most)
	}
	fds := slices.Clone(o.FDs)
	r.Keep = fds
	r.SQE.PrepFilesUpdate(&fds[0], len(fds), uint32(o.First))
	return prepared(r)
}

// InstallFile makes an ordinary descriptor of a slot of the ring's table of
// registered files, close-on-exec. It needs Linux 6.8.
type InstallFile struct {
	descriptor
	Slot uint32
}

// Prepare implements Operation.
func (o InstallFile) Prepare(r *Request) error {
	r.SQE.PrepFixedFDInstall(o.Slot, 0)
	return prepared(r)
}

// ProvideBuffers gives a ring len(Memory)/Size buffers of Size bytes, with
// identifiers from First on, for operations that let the kernel choose one of a
// group. The memory is the kernel's until each buffer has been handed out or
// removed, and stays reachable for as long as the Runtime lives. A Runtime with
// several shards gives a group to one of them.
//
// A BufferGroup has a number, too: the highest that is free when it is made. To
// provide buffers by that number fails with EINVAL, so use low ones.
type ProvideBuffers struct {
	nothing
	Group, First uint16
	Memory       []byte
	Size         int
}

// Prepare implements Operation.
func (o ProvideBuffers) Prepare(r *Request) error {
	const most = 1 << 16
	if o.Size < 1 || len(o.Memory) < o.Size || len(o.Memory)%o.Size != 0 || len(o.Memory)/o.Size > most-int(o.First) {
		return invalid("ProvideBuffers of %d bytes each in %d, from %d on: want whole buffers with identifiers below %d",
			o.Size, len(o.Memory), o.First, most)
	}
	r.Buf, r.lasting = o.Memory, o.Memory
	sys.PrepProvideBuffers(&r.SQE, o.Memory, o.Size, o.Group, o.First)
	return prepared(r)
}

// RemoveBuffers takes up to N buffers back from a group. The result is how many
// those were; their memory is the program's again.
type RemoveBuffers struct {
	count
	Group uint16
	N     int
}

// Prepare implements Operation.
func (o RemoveBuffers) Prepare(r *Request) error {
	const most = 1 << 16
	if o.N < 1 || o.N > most {
		return invalid("RemoveBuffers of %d: want 1 to %d", o.N, most)
	}
	r.SQE.PrepRemoveBuffers(o.N, o.Group)
	return prepared(r)
}
