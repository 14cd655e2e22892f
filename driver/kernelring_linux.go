package driver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// kernelRing is the kernel's ring as a Ring.
type kernelRing struct {
	ring *uring.Ring
	info Info

	allow    []uring.Op         // restrict the ring to these, nil for no restriction
	register []uring.RegisterOp // and to these registrations, besides registerOps
	noWait   uring.EnterFlags
	signal   *os.File // the eventfd that is registered with the ring
}

// needed is what a driver cannot do without.
const needed = uring.IORING_FEAT_NODROP | uring.IORING_FEAT_EXT_ARG | uring.IORING_FEAT_FAST_POLL |
	uring.IORING_FEAT_SUBMIT_STABLE | uring.IORING_FEAT_SINGLE_MMAP

func openKernelRing(cfg Config) (Ring, error) {
	ring, err := setup(cfg, uring.New)
	if err != nil {
		return nil, err
	}
	k := &kernelRing{ring: ring}
	if err := k.init(cfg); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// setup creates the ring with the best flags that the kernel takes: it starts
// with all and leaves out the newest for as long as the kernel answers EINVAL.
func setup(cfg Config, create func(uint32, *uring.Params) (*uring.Ring, error)) (*uring.Ring, error) {
	var optional []uring.SetupFlags // newest last
	optional = append(optional, uring.IORING_SETUP_SUBMIT_ALL)
	if cfg.Without&FeatureTaskRun == 0 {
		optional = append(optional, uring.IORING_SETUP_COOP_TASKRUN|uring.IORING_SETUP_TASKRUN_FLAG)
	}
	if cfg.Without&FeatureNoSQArray == 0 {
		optional = append(optional, uring.IORING_SETUP_NO_SQARRAY)
	}
	for {
		params := uring.Params{
			Flags: uring.IORING_SETUP_CQSIZE | uring.IORING_SETUP_CLAMP |
				uring.IORING_SETUP_R_DISABLED,
			CqEntries: cfg.CQEntries,
		}
		for _, f := range optional {
			params.Flags |= f
		}
		ring, err := create(cfg.SQEntries, &params)
		var setupErr *uring.SetupError
		switch {
		case err == nil:
			return ring, nil
		case errors.As(err, &setupErr) && !setupErr.Final() && len(optional) > 0:
			optional = optional[:len(optional)-1]
		default:
			return nil, err
		}
	}
}

func (k *kernelRing) init(cfg Config) error {
	if missing := needed &^ k.ring.Features(); missing != 0 {
		return fmt.Errorf("driver: the kernel's io_uring lacks %v: Linux 5.11 or later is needed", missing)
	}
	if k.ring.Features()&uring.IORING_FEAT_NO_IOWAIT != 0 {
		// A sleeping driver is idle, not waiting for a disk.
		k.noWait = uring.IORING_ENTER_NO_IOWAIT
	}
	params := k.ring.Params()
	k.info = Info{
		SQEntries: params.SqEntries,
		CQEntries: params.CqEntries,
		Flags:     params.Flags,
		Features:  params.Features,
	}
	if err := k.setupSignal(); err != nil {
		return err
	}
	if set, err := k.ring.Probe(); err == nil {
		for info := range uring.Ops() {
			if set.Has(info.Op) {
				k.info.Supported = append(k.info.Supported, info.Op)
			}
		}
	}
	if cfg.Allow != nil && cfg.Without&FeatureRestrictions == 0 {
		k.allow = append([]uring.Op{uring.IORING_OP_NOP, uring.IORING_OP_ASYNC_CANCEL}, cfg.Allow...)
		slices.Sort(k.allow)
		k.allow = slices.Compact(k.allow)
		if k.info.Supported != nil {
			// A kernel refuses a restriction to what it does not know.
			k.allow = slices.DeleteFunc(k.allow, func(op uring.Op) bool {
				_, known := slices.BinarySearch(k.info.Supported, op)
				return !known
			})
		}
		k.register = cfg.AllowRegister
		k.info.Restricted = true
	}
	return nil
}

// registerOps are the registration calls that the library uses on a ring.
var registerOps = []uring.RegisterOp{
	uring.IORING_REGISTER_PROBE,
	uring.IORING_REGISTER_ENABLE_RINGS,
	uring.IORING_REGISTER_IOWQ_MAX_WORKERS,
	uring.IORING_REGISTER_PBUF_RING,
	uring.IORING_UNREGISTER_PBUF_RING,
}

// sqeFlags are the flags that operations may carry.
const sqeFlags = uring.IOSQE_FIXED_FILE | uring.IOSQE_IO_LINK | uring.IOSQE_IO_HARDLINK |
	uring.IOSQE_ASYNC | uring.IOSQE_BUFFER_SELECT

// maxUnboundedWorkers bounds the kernel threads that serve operations which
// may wait for ever and cannot be polled. Sockets and pipes need none.
const maxUnboundedWorkers = 512

func (k *kernelRing) Enable() error {
	if k.allow != nil {
		if err := k.restrict(); err != nil {
			return err
		}
	}
	if err := k.ring.Enable(); err != nil {
		return fmt.Errorf("driver: enabling the ring: %w", err)
	}
	// An improvement that old kernels do not have.
	_, _ = k.ring.SetMaxWorkers(0, maxUnboundedWorkers)
	return nil
}

func (k *kernelRing) restrict() error {
	list := make([]uring.Restriction, 0, len(k.allow)+len(registerOps)+len(k.register)+1)
	for _, op := range k.allow {
		list = append(list, uring.AllowOp(op))
	}
	for _, op := range slices.Concat(registerOps, k.register) {
		list = append(list, uring.AllowRegister(op))
	}
	list = append(list, uring.AllowFlags(sqeFlags))
	if err := k.ring.RegisterRestrictions(list); err != nil {
		return fmt.Errorf("driver: restricting the ring: %w", err)
	}
	return nil
}

func (k *kernelRing) kernel() *uring.Ring      { return k.ring }
func (k *kernelRing) Next() *uring.SQE         { return k.ring.SQ().Next() }
func (k *kernelRing) Pending() uint32          { return k.ring.SQ().Pending() }
func (k *kernelRing) Flags() uring.SQRingFlags { return k.ring.SQ().Flags() }
func (k *kernelRing) Reap(dst []uring.CQE) int { return k.ring.CQ().Reap(dst) }
func (k *kernelRing) Info() Info               { return k.info }

func (k *kernelRing) Submit() (int, syscall.Errno) {
	return k.ring.EnterNow(k.ring.SQ().Flush(), uring.IORING_ENTER_GETEVENTS)
}

func (k *kernelRing) Flush() uint32 { return k.ring.SQ().Flush() }

func (k *kernelRing) Wait(pending uint32) (int, syscall.Errno) {
	return k.ring.Enter(pending, 1, uring.IORING_ENTER_GETEVENTS|k.noWait)
}

// setupSignal registers an eventfd with the ring that Go's scheduler watches.
func (k *kernelRing) setupSignal() error {
	fd, err := sys.Eventfd()
	if err != nil {
		return fmt.Errorf("driver: the eventfd that signals completions: %w", err)
	}
	k.signal = os.NewFile(uintptr(fd), "io_uring signal")
	if err := k.ring.RegisterEventfd(fd); err != nil {
		return fmt.Errorf("driver: registering the eventfd: %w", err)
	}
	return nil
}

func (k *kernelRing) Signal(on bool) { k.ring.CQ().SetEventfd(on) }
func (k *kernelRing) Ready() bool    { return k.ring.CQ().Nonempty() }

func (k *kernelRing) AwaitSignal() {
	// The value does not matter, nor does an error: the caller looks for
	// itself what there is to do.
	var count [8]byte
	_, _ = k.signal.Read(count[:])
}

func (k *kernelRing) Poke() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = k.signal.Write(one[:])
}

func (k *kernelRing) Close() error {
	err := k.ring.Close()
	if k.signal != nil {
		err = errors.Join(err, k.signal.Close())
	}
	return err
}
