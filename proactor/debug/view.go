package debug

import (
	"fmt"
	"strconv"
	"time"

	"github.com/yamanote-go/yamanote/driver"
)

const inKernel = driver.StateInKernel

// view is a Report as the page shows it.
type view struct {
	Report
	Nonce   string
	Cards   []card
	Charts  []chart
	Numbers []number
	HasRing bool
	Shown   int
	Each    []shard
}

// card is a figure that matters most.
type card struct{ Title, Value, Unit, Meaning string }

// chart is bars with labels.
type chart struct {
	Title, Meaning string
	Bars           []bar
	Total          string
}

// bar has a width from 0 to 100.
type bar struct {
	Label, Value string
	Width        float64
}

// number is a line of the table of all of them.
type number struct {
	Name, Value, Rate, Unit, Meaning, Worry string
	Alarming                                bool
}

// shard is a line of the table of shards.
type shard struct {
	Shard                              int
	InFlight, Finished, Enters, Sleeps string
}

func newView(r Report, nonce string) view {
	v := view{Report: r, Nonce: nonce, HasRing: r.Backend.Kind == "ring", Shown: len(r.Operations.Oldest)}
	v.Cards = cards(r)
	for m, h := range r.Total.Histograms() {
		v.Charts = append(v.Charts, chartOf(m, h))
	}
	v.Charts = append(v.Charts, whoDrives(r.Total))
	warned := make(map[string]bool)
	for _, w := range r.Warnings {
		warned[w.Name] = true
	}
	rates := make(map[string]string)
	for m, n := range r.Interval.All() {
		if !m.Level {
			rates[m.Name] = perSecond(uint64(n), r.IntervalSeconds)
		}
	}
	for m, n := range r.Total.All() {
		v.Numbers = append(v.Numbers, number{
			m.Name, grouped(n), rates[m.Name], m.Unit, m.Meaning, m.Worry, warned[m.Name],
		})
	}
	for i, s := range r.Shards {
		v.Each = append(v.Each, shard{
			i, grouped(s.InFlight), grouped(int64(s.Finished)), grouped(int64(s.Enters)), grouped(int64(s.Sleeps)),
		})
	}
	return v
}

// cards returns the figures of the interval that matter most.
func cards(r Report) []card {
	s := r.Interval
	done := s.Finished + s.InlineDone
	return []card{
		{"Operations", perSecond(done, r.IntervalSeconds), "per second",
			"reads, writes, accepts and so on that ended, by the ring or at once"},
		{"System calls", ratio(s.SystemCalls(), done), "per operation",
			"the fewer, the cheaper; below one where operations share a call"},
		{"Batch", ratio(s.Submitted, s.Enters-min(s.Enters, s.SubmittedPerEnter[0])), "operations per submitting call",
			"how many go to the kernel at once; it grows with the load"},
		{"By the ring", percent(s.Finished, done), "of the operations",
			"the others were done at once, by a system call of their goroutine"},
		{"Under way", grouped(s.InFlight), "operations now",
			fmt.Sprintf("%s of them wait for a peer, as idle connections do", grouped(s.InFlightWaiting))},
		{"Cancelled", perSecond(s.EndedCancelled, r.IntervalSeconds), "per second",
			"ended by a deadline, a context or a Close"},
	}
}

func whoDrives(s driver.Stats) chart {
	return newChart("Who enters the kernel", "Driving the ring is a role that goroutines take in turn. "+
		"Mostly it should be those that wait for a result: then nobody else has to be woken.", []labelled{
		{"a goroutine that waits, at work", s.LeaderEnters},
		{"a goroutine that waits, asleep", s.Sleeps},
		{"another that submits meanwhile", s.BorrowerEnters},
		{"the background goroutine", s.AttendantEnters},
	})
}

type labelled struct {
	label string
	count uint64
}

func newChart(title, meaning string, values []labelled) chart {
	c := chart{Title: title, Meaning: meaning}
	var most, total uint64
	for _, v := range values {
		most = max(most, v.count)
		total += v.count
	}
	for _, v := range values {
		width := 0.0
		if most > 0 {
			width = 100 * float64(v.count) / float64(most)
		}
		c.Bars = append(c.Bars, bar{v.label, grouped(int64(v.count)) + " (" + percent(v.count, total) + ")", width})
	}
	c.Total = grouped(int64(total))
	return c
}

var titles = map[string]string{
	"submitted_per_enter":  "Handed over by each system call",
	"completions_per_reap": "Completions found at once",
	"sleep_microseconds":   "Length of waits in the kernel",
}

// chartOf shows a histogram from its first bucket that is not empty to the last.
func chartOf(m driver.HistogramMetric, h driver.Histogram) chart {
	first, last := 0, -1
	for i, c := range h {
		if c > 0 {
			if last < 0 {
				first = i
			}
			last = i
		}
	}
	var values []labelled
	for i := first; i <= last; i++ {
		if m.Unit != "microseconds" {
			values = append(values, labelled{h.Label(i), h[i]})
		} else if n := len(values); n > 0 && (i-first)%2 == 1 {
			values[n-1].count += h[i] // steps of four, so that they fit on a screen
		} else {
			values = append(values, labelled{span(h, i), h[i]})
		}
	}
	return newChart(titles[m.Name], m.Meaning, values)
}

// span is the label of a bucket of microseconds.
func span(h driver.Histogram, i int) string {
	low, _ := h.Bucket(i)
	if low == 0 {
		return "under 1 µs"
	}
	from := time.Duration(low) * time.Microsecond
	switch {
	case from >= time.Second:
		return fmt.Sprintf("from %.0f s", from.Seconds())
	case from >= time.Millisecond:
		return fmt.Sprintf("from %.0f ms", from.Seconds()*1e3)
	}
	return fmt.Sprintf("from %d µs", low)
}

// grouped writes a number with a thin space between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func perSecond(n uint64, seconds float64) string {
	if seconds <= 0 {
		return "–"
	}
	rate := float64(n) / seconds
	if rate == 0 || rate >= 10 {
		return grouped(int64(rate + 0.5))
	}
	return fmt.Sprintf("%.1f", rate)
}

func ratio(n, of uint64) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(n)/float64(of))
}

func percent(n, of uint64) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

// Age is the operation's age for people.
func (o Operation) Age() string { return age(o.AgeSeconds) }

// Until says how long the deadline is away.
func (o Operation) Until() string {
	if o.Deadline == nil {
		return ""
	}
	return age(max(time.Until(*o.Deadline).Seconds(), 0))
}

// OldestAge is the age of the oldest for people.
func (g Group) OldestAge() string { return age(g.OldestSeconds) }

// MedianAge is the median age for people.
func (g Group) MedianAge() string { return age(g.MedianSeconds) }

func age(seconds float64) string {
	d := time.Duration(seconds * 1e9)
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
