package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// Instant is a point on the machine's monotonic clock in nanoseconds: the same one for every process, and no
// step of the wall clock moves it.
type Instant int64

// now asks the kernel. It is noted after what is to come before it.
func now() Instant {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("chaos: CLOCK_MONOTONIC: " + err.Error())
	}
	return Instant(t.Nano())
}

// stopwatch reads the same clock without a system call, as the Go runtime does. For the begin of reads: it may be a
// little early, never late.
type stopwatch struct {
	start Instant
	base  time.Time
	late  Instant // how much the clock may be ahead of it
}

// newStopwatch takes the best of many looks at both clocks.
func newStopwatch() (best stopwatch) {
	for range 100 {
		start := now() // first: what is counted from base is counted from an earlier instant
		base := time.Now()
		if late := now() - start; best.late == 0 || late < best.late {
			best = stopwatch{start, base, late}
		}
	}
	return best
}

func (s stopwatch) now() Instant { return s.start + Instant(time.Since(s.base)) }

// after is for the return of reads: it may be a little late, never early.
func (s stopwatch) after() Instant { return s.now() + s.late }

// time makes instants comparable by the rules of package history.
func (i Instant) time() time.Time { return time.Unix(0, int64(i)) }

func (i Instant) sub(j Instant) time.Duration { return time.Duration(i - j) }
