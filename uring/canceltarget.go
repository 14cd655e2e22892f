package uring

// CancelTarget says which requests SyncCancel is to cancel.
type CancelTarget struct {
	// Flags select by what: user data (none, or IORING_ASYNC_CANCEL_USERDATA
	// beside others), descriptor (CANCEL_FD, and CANCEL_FD_FIXED if Fd is a
	// registered slot), operation (CANCEL_OP), or whatever there is
	// (CANCEL_ANY); several must all hold. CANCEL_ALL means all that are found,
	// not the first.
	Flags CancelFlags

	UserData uint64
	Fd       int
	Op       Op
}
