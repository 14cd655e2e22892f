package net

// WriteZeroCopy is Write without copying, for those who can leave the memory
// alone for a while. It returns when the kernel has taken all of b, in order with
// other Writes, or says how much it has taken and why not more. The kernel goes
// on reading b until the peer has acknowledged it: until then b must not change,
// or the peer gets the changes. Then release is called, exactly once, whatever
// becomes of the connection: also after an error, and after Close or CloseWrite,
// which do not wait for it and send what was written as they always do. It is
// called by a goroutine of its own, or by WriteZeroCopy before it returns. It may
// be nil where b never changes.
//
// It pays for large writes on network devices that need no copy. It copies, and
// calls release at once, what is less than 4 KiB; while 256 writes of the
// connection have not been released; without a ring; before Linux 6.2; on Unix
// sockets; on connections of a listener for Multipath TCP, which listeners are by
// default (see ListenConfig.ZeroCopy and SetMultipathTCP); and once the kernel has
// reported that it copied what went to this peer all the same, as it does on the
// loopback. The Stats of the runtime tell (zero_copy, zero_copy_copied,
// zero_copy_off).
//
// The write deadline bounds the time until the kernel has taken b, not that until
// release. A peer that acknowledges nothing keeps the memory, for as long as the
// kernel keeps the connection, and Shutdown of the runtime waits for it; to get
// it back, SetLinger(0) and Close.
func (c *conn) WriteZeroCopy(b []byte, release func()) (int, error) {
	if c.ok() && c.std == nil {
		n, err := c.fd.SendLent(b, release)
		if err != nil {
			err = c.opError("write", "write", err)
		}
		return n, err
	}
	n, err := c.Write(b)
	if release != nil {
		release()
	}
	return n, err
}
