package uring

import (
	"syscall"
	"unsafe"
)

// Query asks the kernel, without a ring, how many operations and registration
// calls it has and which flags of every kind it knows. Kernels before 6.18
// refuse with EINVAL: use a ring's Probe and Features there.
func Query() (QueryOpcode, error) { return query[QueryOpcode](IO_URING_QUERY_OPCODES) }

// QueryZcrxInfo asks the kernel, without a ring, what it knows of zero-copy
// receive. Linux 6.18 and its predecessors do not know the question, and refuse
// with EOPNOTSUPP or EINVAL.
func QueryZcrxInfo() (QueryZcrx, error) { return query[QueryZcrx](IO_URING_QUERY_ZCRX) }

// QueryScqInfo asks the kernel, without a ring, what memory the headers of the
// queues need. Linux 6.18 and its predecessors do not know the question, and
// refuse with EOPNOTSUPP or EINVAL.
func QueryScqInfo() (QueryScq, error) { return query[QueryScq](IO_URING_QUERY_SCQ) }

// query asks one question, whose answer is a T.
func query[T QueryOpcode | QueryZcrx | QueryScq](op QueryOp) (T, error) {
	// The header holds the address of the answer as a number, which does not
	// follow when a stack moves: address puts both on the heap.
	arg := &struct {
		hdr QueryHdr
		out T
	}{}
	var zero T
	arg.hdr = QueryHdr{
		QueryData: address(&arg.out),
		QueryOp:   op,
		Size:      uint32(unsafe.Sizeof(arg.out)),
	}
	if _, err := registerAlone(IORING_REGISTER_QUERY, unsafe.Pointer(&arg.hdr), 0); err != nil {
		return zero, err
	}
	if arg.hdr.Result < 0 {
		return zero, registerError(nil, IORING_REGISTER_QUERY, syscall.Errno(-arg.hdr.Result))
	}
	return arg.out, nil
}

// Probe returns the operations that the running kernel supports, asking
// through the ring. Linux 5.6. A restricted ring answers only if its
// restrictions allow REGISTER_PROBE.
func (r *Ring) Probe() (OpSet, error) {
	arg := new(Probe)
	if _, err := r.Register(IORING_REGISTER_PROBE, unsafe.Pointer(arg), MaxProbeOps); err != nil {
		return OpSet{}, err
	}
	return arg.supported(), nil
}
