package uring

import "time"

// TimespecOf returns a duration as the kernel takes it. A negative one is the
// same as none: the kernel refuses negative times.
func TimespecOf(d time.Duration) Timespec {
	d = max(d, 0)
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

// TimespecAt returns a point in time as the kernel takes it for an absolute
// timeout by the wall clock, IORING_TIMEOUT_ABS | IORING_TIMEOUT_REALTIME. Times
// before 1970 become the first instant of that year. The other clocks of
// absolute timeouts have points in time of their own, see clock_gettime(2).
func TimespecAt(t time.Time) Timespec {
	if t.Before(time.Unix(0, 0)) {
		return Timespec{}
	}
	return Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// Duration returns the time as a duration; what does not fit is cut to the
// longest or shortest there is.
func (ts Timespec) Duration() time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	switch {
	case ts.Sec >= most:
		return 1<<63 - 1
	case ts.Sec <= -most:
		return -1 << 63
	}
	// Neither summand exceeds the range alone, but Nsec is the kernel's word.
	return time.Duration(ts.Sec)*time.Second + time.Duration(ts.Nsec%int64(time.Second))
}

// Time returns the point in time, taken by the wall clock.
func (ts Timespec) Time() time.Time { return time.Unix(ts.Sec, ts.Nsec) }
