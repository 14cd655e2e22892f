package driver

import (
	"fmt"
	"iter"
	"strings"
)

// Metric describes a number of Stats, for people and programs that show it.
type Metric struct {
	Name    string // as in the JSON of Stats, stable
	Unit    string // what is counted: "system calls", "operations"
	Level   bool   // is so at the moment, and can fall, rather than being counted
	Meaning string // in a sentence, for who does not know the code
	Worry   string // when the number is a sign of trouble, and what helps; empty if never by itself
}

// metric is a Metric and where it is: count if it is counted, level if not.
type metric struct {
	Metric
	count func(*Stats) *uint64
	level func(*Stats) *int64
}

// HistogramMetric describes a histogram of Stats.
type HistogramMetric struct {
	Name    string // as in the JSON of Stats, stable
	Unit    string // of the values: "operations", "microseconds"
	Each    string // what each value belongs to: "system call"
	Meaning string
}

// All yields every number of the Stats with its description, in a sensible
// order. Those that are counted are not negative.
func (s Stats) All() iter.Seq2[Metric, int64] {
	return func(yield func(Metric, int64) bool) {
		for _, m := range numbers {
			var v int64
			if m.count != nil {
				v = int64(*m.count(&s))
			} else {
				v = *m.level(&s)
			}
			if !yield(m.Metric, v) {
				return
			}
		}
	}
}

// Histograms yields every histogram of the Stats with its description.
func (s Stats) Histograms() iter.Seq2[HistogramMetric, Histogram] {
	return func(yield func(HistogramMetric, Histogram) bool) {
		for _, h := range histograms {
			if !yield(h.HistogramMetric, *h.of(&s)) {
				return
			}
		}
	}
}

// String lists what is not zero as name=value, in one line.
func (s Stats) String() string {
	var b strings.Builder
	for m, v := range s.All() {
		if v != 0 {
			fmt.Fprintf(&b, "%s=%d ", m.Name, v)
		}
	}
	for m, h := range s.Histograms() {
		if h.Count() != 0 {
			fmt.Fprintf(&b, "%s={%v} ", m.Name, h)
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// histograms is the one table of the histograms of Stats.
var histograms = []struct {
	HistogramMetric
	of func(*Stats) *Histogram
}{
	{HistogramMetric{"submitted_per_enter", "operations and cancellations", "system call",
		"How many operations each system call handed to the kernel. Zero are calls made only to wait or to fetch completions."},
		func(s *Stats) *Histogram { return &s.SubmittedPerEnter }},
	{HistogramMetric{"completions_per_reap", "completions", "batch",
		"How many completions the driver found at once. A batch is never larger than 64, so that those whose results are there get to run."},
		func(s *Stats) *Histogram { return &s.CompletionsPerReap }},
	{HistogramMetric{"sleep_microseconds", "microseconds", "wait",
		"How long the driver waited in the kernel until something completed. Long waits mean that there was nothing to do."},
		func(s *Stats) *Histogram { return &s.SleepMicroseconds }},
}

// numbers is the one table of the numbers of Stats, in the order in which they
// are shown. Adding one takes a field, a row, and a line in Driver.Stats.
var numbers = []metric{
	{Metric{"in_flight", "operations", true,
		"Operations under way now: queued, in the kernel, or being cancelled.",
		"It grows without bound while the load does not: something is never answered. The list of operations shows what."},
		nil, func(s *Stats) *int64 { return &s.InFlight }},
	{Metric{"in_flight_waiting", "operations", true,
		"Those of them that may wait for a peer for any length of time, such as a receive on an idle connection. They cost memory, but no time.", ""},
		nil, func(s *Stats) *int64 { return &s.InFlightWaiting }},
	{Metric{"in_kernel_peak", "operations", true,
		"The most operations that the kernel has had at once; for several rings, the sum of their peaks.", ""},
		nil, func(s *Stats) *int64 { return &s.InKernelPeak }},
	{Metric{"admission_waiting", "operations", true,
		"Operations that wait now until fewer others are under way.",
		"It is not zero for long: the device or the bound (MaxInFlight) is the bottleneck."},
		nil, func(s *Stats) *int64 { return &s.AdmissionWaiting }},
	{Metric{"admission_waits", "operations", false,
		"Operations that had to wait because as many as MaxInFlight allows were under way.",
		"It rises steadily: raise MaxInFlight if the device is not busy, or ask for less at once."},
		func(s *Stats) *uint64 { return &s.AdmissionWaits }, nil},
	{Metric{"submitted", "operations", false,
		"Operations handed to the kernel; one that is submitted again counts again.", ""},
		func(s *Stats) *uint64 { return &s.Submitted }, nil},
	{Metric{"finished", "operations", false,
		"Operations that ended, with a result or an error.", ""},
		func(s *Stats) *uint64 { return &s.Finished }, nil},
	{Metric{"ended_cancelled", "operations", false,
		"Those that ended because they were cancelled: by a deadline, a context, or a Close.", ""},
		func(s *Stats) *uint64 { return &s.EndedCancelled }, nil},
	{Metric{"ended_no_buffers", "operations", false,
		"Those that found no buffer (ENOBUFS): of a buffer group that was empty, or in the kernel's network memory.",
		"It rises: buffers are given back more slowly than data arrive. Provide more of them or read faster."},
		func(s *Stats) *uint64 { return &s.EndedNoBuffers }, nil},
	{Metric{"ended_failed", "operations", false,
		"Those that ended with any other error, such as a connection that the peer has reset. Expired timers are not counted.",
		"Compare it with finished: a large part means that peers or files are in trouble. The programs that asked got the errors."},
		func(s *Stats) *uint64 { return &s.EndedFailed }, nil},
	{Metric{"inline_tried", "system calls", false,
		"Attempts of goroutines to do an operation at once by a system call of their own, without the ring.", ""},
		func(s *Stats) *uint64 { return &s.InlineTried }, nil},
	{Metric{"inline_done", "operations", false,
		"Those attempts that did it, so that the ring had nothing to do.",
		"Less than half of inline_tried under load: the attempts cost more than they bring."},
		func(s *Stats) *uint64 { return &s.InlineDone }, nil},
	{Metric{"behind", "operations", false,
		"Writes that returned as soon as they were queued for the ring (WriteBehind).", ""},
		func(s *Stats) *uint64 { return &s.Behind }, nil},
	{Metric{"zero_copy", "operations", false,
		"Sends of package net that were to go without a copy (ZeroCopy, WriteZeroCopy), counted when the kernel gave their memory back.", ""},
		func(s *Stats) *uint64 { return &s.ZeroCopy }, nil},
	{Metric{"zero_copy_copied", "operations", false,
		"Those that the kernel copied after all, because the way to the peer needs a copy: the loopback does, and many virtual devices.",
		"It rises with zero_copy: turn ZeroCopy off, since a copy that was not asked for costs more."},
		func(s *Stats) *uint64 { return &s.ZeroCopyCopied }, nil},
	{Metric{"zero_copy_off", "connections", false,
		"Connections that went on by copying, because the kernel had copied or refused.", ""},
		func(s *Stats) *uint64 { return &s.ZeroCopyOff }, nil},
	{Metric{"enters", "system calls", false,
		"System calls that handed operations to the ring, fetched completions, or waited for them.", ""},
		func(s *Stats) *uint64 { return &s.Enters }, nil},
	{Metric{"enters_by_leader", "system calls", false,
		"Those made by a goroutine that waits for a result of its own and drives the ring meanwhile, without sleeping.", ""},
		func(s *Stats) *uint64 { return &s.LeaderEnters }, nil},
	{Metric{"sleeps", "system calls", false,
		"Those in which such a goroutine waited, because nothing else was to be done.", ""},
		func(s *Stats) *uint64 { return &s.Sleeps }, nil},
	{Metric{"enters_by_borrower", "system calls", false,
		"Those made by a goroutine that submitted something by itself while the one that drives was asleep.", ""},
		func(s *Stats) *uint64 { return &s.BorrowerEnters }, nil},
	{Metric{"enters_by_attendant", "system calls", false,
		"Those made by the background goroutine, which looks after the ring while nobody waits.", ""},
		func(s *Stats) *uint64 { return &s.AttendantEnters }, nil},
	{Metric{"wakes", "system calls", false,
		"System calls made to have the background goroutine look at the ring.",
		"As many as finished: waking costs more than it brings."},
		func(s *Stats) *uint64 { return &s.Wakes }, nil},
	{Metric{"wakes_saved", "requests", false,
		"Times that something was queued and somebody was at the ring already, who took it along: nobody had to be woken.", ""},
		func(s *Stats) *uint64 { return &s.WakesSaved }, nil},
	{Metric{"wake_entries", "entries", false,
		"Submission entries that only wake a sleeping goroutine, or fill the place of what the kernel did not take of a chain.", ""},
		func(s *Stats) *uint64 { return &s.WakeEntries }, nil},
	{Metric{"completions", "completions", false,
		"Answers of the kernel, to operations and to cancellations. Some operations have several.", ""},
		func(s *Stats) *uint64 { return &s.Completions }, nil},
	{Metric{"reaps", "batches", false,
		"Batches in which the answers were fetched.", ""},
		func(s *Stats) *uint64 { return &s.Reaps }, nil},
	{Metric{"cancels", "cancellations", false,
		"Cancellations asked of the kernel.", ""},
		func(s *Stats) *uint64 { return &s.Cancels }, nil},
	{Metric{"cancelled", "cancellations", false,
		"Those that found their operation and ended it.", ""},
		func(s *Stats) *uint64 { return &s.Cancelled }, nil},
	{Metric{"cancels_late", "cancellations", false,
		"Those whose operation had ended by itself in the meantime. Its result was delivered.", ""},
		func(s *Stats) *uint64 { return &s.CancelsLate }, nil},
	{Metric{"cancels_again", "cancellations", false,
		"Cancellations that met their operation at a moment when it could not be cancelled, and were repeated.",
		"Operations stay in the list as being cancelled for seconds: a device or a kernel thread has them. A few of these are normal."},
		func(s *Stats) *uint64 { return &s.CancelsAgain }, nil},
	{Metric{"sq_full", "turns", false,
		"Turns in which more was queued than the submission queue holds; the rest went with the next call.",
		"It rises often: a larger SQEntries saves system calls."},
		func(s *Stats) *uint64 { return &s.SQFull }, nil},
	{Metric{"busy", "system calls", false,
		"Times that the kernel took nothing, for lack of memory or of room for completions (EAGAIN, EBUSY).",
		"It rises: the system is short of memory, or CQEntries is too small."},
		func(s *Stats) *uint64 { return &s.Busy }, nil},
	{Metric{"overflows", "system calls", false,
		"Calls after which completions did not fit into their queue. The kernel keeps them; none is lost.",
		"It rises often: a larger CQEntries avoids the detour."},
		func(s *Stats) *uint64 { return &s.Overflows }, nil},
	{Metric{"resubmitted", "operations", false,
		"Operations that the kernel cancelled because a thread of the process had ended, and that were submitted again.",
		"It rises often: the program ends threads, by goroutines that return while locked to one."},
		func(s *Stats) *uint64 { return &s.Resubmitted }, nil},
	{Metric{"stale", "completions", false,
		"Completions that belong to no operation. They were dropped.",
		"It should stay zero: anything else is a bug of this library or of the kernel."},
		func(s *Stats) *uint64 { return &s.Stale }, nil},
}
