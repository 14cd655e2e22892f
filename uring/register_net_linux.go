package uring

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// RegisterNAPI has waits poll the network queues that the ring's sockets receive
// from, for up to busyPoll (in whole microseconds) before they sleep, which
// trades processor time for latency. With prefer, interrupts of the queues are
// held back meanwhile. tracking is how the ring learns which queues those are:
// from the sockets (IO_URING_NAPI_TRACKING_DYNAMIC), or from AddNAPI
// (IO_URING_NAPI_TRACKING_STATIC, Linux 6.13).
//
// It returns the settings of before. It takes a kernel with
// CONFIG_NET_RX_BUSY_POLL, and is of use with queues that have NAPI ids, which
// the loopback device has not. Linux 6.9.
func (r *Ring) RegisterNAPI(busyPoll time.Duration, prefer bool, tracking uint32) (NAPI, error) {
	us := busyPoll.Microseconds()
	if busyPoll < 0 || us > math.MaxUint32 {
		return NAPI{}, fmt.Errorf("uring: polling the network for %v: %w", busyPoll, syscall.EINVAL)
	}
	n := &NAPI{BusyPollTo: uint32(us), Opcode: IO_URING_NAPI_REGISTER_OP, OpParam: tracking}
	if prefer {
		n.PreferBusyPoll = 1
	}
	_, err := r.Register(IORING_REGISTER_NAPI, unsafe.Pointer(n), 1)
	return *n, err
}

// AddNAPI adds a network queue, by its NAPI id, to those that a ring with static
// tracking polls. A socket tells its id by the option SO_INCOMING_NAPI_ID.
// EEXIST means that it is there. Linux 6.13.
func (r *Ring) AddNAPI(id uint32) error { return r.napiID(IO_URING_NAPI_STATIC_ADD_ID, id) }

// RemoveNAPI undoes AddNAPI, and fails with ENOENT for an id that was not
// added. Linux 6.13.
func (r *Ring) RemoveNAPI(id uint32) error { return r.napiID(IO_URING_NAPI_STATIC_DEL_ID, id) }

func (r *Ring) napiID(op NAPIOp, id uint32) error {
	_, err := r.Register(IORING_REGISTER_NAPI, unsafe.Pointer(&NAPI{Opcode: op, OpParam: id}), 1)
	return err
}

// UnregisterNAPI undoes RegisterNAPI and returns the settings of before. Linux
// 6.9.
func (r *Ring) UnregisterNAPI() (NAPI, error) {
	n := new(NAPI)
	_, err := r.Register(IORING_UNREGISTER_NAPI, unsafe.Pointer(n), 1)
	return *n, err
}

// RegisterZcrxIfq makes a queue of a network device put what it receives
// straight into memory of the program, for IORING_OP_RECV_ZC. It takes a network
// card and a driver that separate headers from payload, CAP_NET_ADMIN, and a
// ring with IORING_SETUP_DEFER_TASKRUN and completions of 32 bytes; without such
// a card it fails with EOPNOTSUPP. The structures that reg refers to by address
// must stay valid during the call. The kernel fills in offsets and id. Linux
// 6.15.
func (r *Ring) RegisterZcrxIfq(reg *ZCRXIfqReg) error {
	_, err := r.Register(IORING_REGISTER_ZCRX_IFQ, unsafe.Pointer(reg), 1)
	return err
}

// ZcrxControl gives a command to a queue of zero-copy receive. Linux 6.19.
func (r *Ring) ZcrxControl(ctrl *ZCRXCtrl) error {
	_, err := r.Register(IORING_REGISTER_ZCRX_CTRL, unsafe.Pointer(ctrl), 0)
	return err
}

// RegisterBPFFilter gives the ring a classic BPF program that judges the entries
// of one operation. The program that filter refers to by address must stay
// valid during the call. Linux 7.0.
func (r *Ring) RegisterBPFFilter(filter *BPFFilter) error {
	bpf := &BPF{CmdType: IO_URING_BPF_CMD_FILTER, Filter: *filter}
	_, err := r.Register(IORING_REGISTER_BPF_FILTER, unsafe.Pointer(bpf), 1)
	return err
}

// RestrictTask limits what all rings may do that the calling thread creates from
// now on, and those of threads and processes it starts: RegisterRestrictions for
// a whole task. It cannot be undone. An empty list is an error. It came after
// Linux 6.18, which answers EINVAL.
func RestrictTask(list []Restriction) error {
	if len(list) == 0 || len(list) > math.MaxUint16 {
		return fmt.Errorf("uring: restricting a task by a list of %d: %w", len(list), syscall.EINVAL)
	}
	// One piece of memory: the list follows its header.
	arg := make([]Restriction, 1+len(list))
	copy(arg[1:], list)
	*(*TaskRestriction)(unsafe.Pointer(&arg[0])) = TaskRestriction{NrRes: uint16(len(list))}
	_, err := registerAlone(IORING_REGISTER_RESTRICTIONS, unsafe.Pointer(&arg[0]), 1)
	runtime.KeepAlive(arg)
	if errors.Is(err, syscall.EINVAL) && !runningVersion().AtLeast(Version{7, 0}) {
		return fmt.Errorf("%w: restrictions of a task came after Linux 6.18, and this is %s", err, kernelRelease())
	}
	return err
}
