package testkit

import "golang.org/x/sys/unix"

func kernelVersion() (major, minor int, err error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return 0, 0, err
	}
	return parseRelease(unix.ByteSliceToString(u.Release[:]))
}
