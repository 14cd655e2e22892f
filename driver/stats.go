package driver

// Stats counts what a driver has done since it was opened. Its JSON has the
// names that Metrics lists, which are stable.
type Stats struct {
	Enters           uint64 `json:"enters"`              // system calls made to submit, reap or wait
	LeaderEnters     uint64 `json:"enters_by_leader"`    // of which by who leads the ring, not to sleep
	BorrowerEnters   uint64 `json:"enters_by_borrower"`  // by who borrows the ring from a sleeping leader
	AttendantEnters  uint64 `json:"enters_by_attendant"` // by the goroutine that attends while nobody leads
	Sleeps           uint64 `json:"sleeps"`              // waits in the kernel, by who leads
	Wakes            uint64 `json:"wakes"`               // system calls made to have the ring attended to
	WakesSaved       uint64 `json:"wakes_saved"`         // times that somebody was at the ring already
	WakeEntries      uint64 `json:"wake_entries"`        // submission entries that are no operations
	Submitted        uint64 `json:"submitted"`           // operations handed to the kernel, each time that they were
	Completions      uint64 `json:"completions"`         // completions of every kind, also of cancellations
	Reaps            uint64 `json:"reaps"`               // batches of completions
	Finished         uint64 `json:"finished"`            // operations that ended
	EndedCancelled   uint64 `json:"ended_cancelled"`     // of which with ECANCELED
	EndedNoBuffers   uint64 `json:"ended_no_buffers"`    // of which with ENOBUFS
	EndedFailed      uint64 `json:"ended_failed"`        // of which with another error, but for expired timeouts
	Cancels          uint64 `json:"cancels"`             // cancellations asked of the kernel
	Cancelled        uint64 `json:"cancelled"`           // of which it found the operation
	CancelsLate      uint64 `json:"cancels_late"`        // of which the operation had ended by itself
	CancelsAgain     uint64 `json:"cancels_again"`       // that had to be repeated later
	Resubmitted      uint64 `json:"resubmitted"`         // operations submitted again after a thread of the process ended
	Stale            uint64 `json:"stale"`               // completions that belong to no operation
	SQFull           uint64 `json:"sq_full"`             // turns that ran out of submission entries
	Busy             uint64 `json:"busy"`                // times the kernel refused entries with EAGAIN or EBUSY
	Overflows        uint64 `json:"overflows"`           // enters after which completions did not fit into the queue
	InlineTried      uint64 `json:"inline_tried"`        // system calls of goroutines of their own; see NoteInline
	InlineDone       uint64 `json:"inline_done"`         // of which needed nothing more
	Behind           uint64 `json:"behind"`              // writes that returned when they were queued; see NoteBehind
	ZeroCopy         uint64 `json:"zero_copy"`           // sends that were not to copy; see NoteZeroCopy
	ZeroCopyCopied   uint64 `json:"zero_copy_copied"`    // of which the kernel copied after all
	ZeroCopyOff      uint64 `json:"zero_copy_off"`       // connections that went on by copying
	AdmissionWaits   uint64 `json:"admission_waits"`     // operations that had to wait because MaxInFlight were under way
	AdmissionWaiting int64  `json:"admission_waiting"`   // operations that wait for that now
	InFlight         int64  `json:"in_flight"`           // operations under way now
	InFlightWaiting  int64  `json:"in_flight_waiting"`   // of which those that may wait for a peer (Op.Waits)
	InKernelPeak     int64  `json:"in_kernel_peak"`      // the most operations that the kernel has had at once

	// SubmittedPerEnter counts system calls by how many submission entries the
	// kernel took; CompletionsPerReap batches of completions by their size, at
	// most 64; SleepMicroseconds waits in the kernel by their length in
	// microseconds. Their Counts are Enters, Reaps and Sleeps.
	SubmittedPerEnter  Histogram `json:"submitted_per_enter"`
	CompletionsPerReap Histogram `json:"completions_per_reap"`
	SleepMicroseconds  Histogram `json:"sleep_microseconds"`
}

// Stats returns the counters. They are read one after the other, so that a
// busy driver's do not belong to exactly one moment.
func (d *Driver) Stats() Stats {
	c := &d.stats
	s := Stats{
		Finished:        c.finished.Load(),
		EndedCancelled:  c.endedCancelled.Load(),
		EndedNoBuffers:  c.endedNoBuffers.Load(),
		EndedFailed:     c.endedFailed.Load(),
		Cancels:         c.cancels.Load(),
		Cancelled:       c.cancelled.Load(),
		CancelsLate:     c.cancelsLate.Load(),
		CancelsAgain:    c.cancelsAgain.Load(),
		Resubmitted:     c.resubmitted.Load(),
		Stale:           c.stale.Load(),
		SQFull:          c.sqFull.Load(),
		Busy:            c.busy.Load(),
		Overflows:       c.overflows.Load(),
		Wakes:           c.wakes.Load(),
		AdmissionWaits:  c.admissionWaits.Load(),
		ZeroCopy:        c.zeroCopy.Load(),
		ZeroCopyCopied:  c.zeroCopyCopied.Load(),
		ZeroCopyOff:     c.zeroCopyOff.Load(),
		InFlightWaiting: d.waiting.used.Load(),
		InKernelPeak:    d.loop.table.peak.Load(),
	}
	s.AdmissionWaiting = d.finite.waiting.Load() + d.waiting.waiting.Load()
	s.InFlight = s.InFlightWaiting + d.finite.used.Load()
	for i := range c.striped {
		p := &c.striped[i]
		done := p.done.Load()
		s.InlineDone += done
		s.InlineTried += done + p.missed.Load()
		s.Behind += p.behind.Load()
		s.WakesSaved += p.wakesSaved.Load()
	}
	c.histograms(&s)
	return s
}

// SystemCalls returns how many system calls all of this took: entering the
// ring, waking its driver, and trying inline.
func (s Stats) SystemCalls() uint64 { return s.Enters + s.Wakes + s.InlineTried }

// Add returns the sum of two drivers' counters. Of the peaks it is the sum, too,
// which the drivers together may never have reached at once.
func (s Stats) Add(o Stats) Stats {
	for _, m := range numbers {
		switch {
		case m.count != nil:
			*m.count(&s) += *m.count(&o)
		default:
			*m.level(&s) += *m.level(&o)
		}
	}
	for _, h := range histograms {
		*h.of(&s) = h.of(&s).plus(*h.of(&o))
	}
	return s
}

// Sub returns what has happened since before, an earlier Stats of the same
// drivers. What is not counted but is so at the moment, such as InFlight, stays
// as it is in s.
func (s Stats) Sub(before Stats) Stats {
	for _, m := range numbers {
		if m.count != nil {
			*m.count(&s) -= *m.count(&before)
		}
	}
	for _, h := range histograms {
		*h.of(&s) = h.of(&s).minus(*h.of(&before))
	}
	return s
}
