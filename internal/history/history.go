// Package history has the rules by which a read through a cache is judged against what happened to the source:
// which version it must not be older than, and how old the one was that it got.
//
// The simulation judges by them at once, in virtual time; the chaos run afterwards, over the recorded
// history of many processes. Both have the histories of strong caches checked with porcupine: see Linear.
package history

import (
	"slices"
	"time"
)

// Version is one state of a record. The zero value of an instant means: not, or not yet.
type Version struct {
	Committed time.Time // noted by the source
	Deleted   bool      // from here on there is no record
	Covered   time.Time // noted after an Update or Invalidate of it, or of a later one, had returned
	Guarded   time.Time // when its fence has ended for sure: the bound of a write that never returns
}

// Versions are those of one key: version i is at index i-1, version 0 is "no record".
type Versions []Version

// Limits are what the caches promise.
type Limits struct {
	Bound           time.Duration // D
	AtOnce          bool          // a write that has returned is seen by every read that begins later
	Found, NotFound time.Duration // the longest that a record, or the lack of one, is served after it was read
}

// Deleted reports whether version v is the lack of a record.
func (h Versions) Deleted(v int) bool { return v == 0 || h[v-1].Deleted }

// LastDeleted returns the newest version that is the lack of a record: of all, or of those that were committed
// until the given instant.
func (h Versions) LastDeleted(until time.Time) int {
	for v := len(h); v > 0; v-- {
		if h.Deleted(v) && (until.IsZero() || !h[v-1].Committed.After(until)) {
			return v
		}
	}
	return 0
}

// Need returns the oldest version that a read begun at a may return, and the invariant that says so. It never
// falls when a grows: of all reads that returned one version, the last to begin decides.
func (h Versions) Need(a time.Time, l Limits, found bool) (version int, rule string) {
	due := a.Add(-l.Bound)
	promised := due
	if l.AtOnce {
		promised = a
	}
	life := l.NotFound
	if found {
		life = l.Found
	}
	for v := len(h); v > 0; v-- {
		e := h[v-1]
		switch {
		case before(e.Covered, promised):
			return v, "I1"
		case before(e.Guarded, due):
			return v, "I9"
		case e.Committed.Add(life).Before(due): // announced or not
			return v, "I17"
		}
	}
	return 0, ""
}

// Age returns how long before a read begun at a the version it returned had been replaced: since the return of
// the first write of a later one. It never falls when a grows.
func (h Versions) Age(got int, a time.Time) (d time.Duration) {
	for _, e := range h[got:] {
		if before(e.Covered, a) {
			d = max(d, a.Sub(e.Covered))
		}
	}
	return d
}

func before(t, u time.Time) bool { return !t.IsZero() && t.Before(u) }

// Losses are the times in which Redis lost keys.
type Losses []*loss

type loss struct{ begin, end time.Time }

// Begin notes that Redis is losing keys, until the returned function is called.
func (l *Losses) Begin(now time.Time) (end func(time.Time)) {
	x := &loss{begin: now}
	*l = append(*l, x)
	return func(now time.Time) { x.end = now }
}

// Since reports whether a loss was under way at t or later.
func (l Losses) Since(t time.Time) bool {
	return slices.ContainsFunc(l, func(x *loss) bool { return x.end.IsZero() || !x.end.Before(t) })
}

// Guarded returns when the fence of an Update that committed at now has ended for sure. While it stands nobody
// may cache what is older, so that even a write that never returns is bound by its end: unless the writer
// overran its deadline, or Redis lost keys, and perhaps the fence, since the Update began.
func (l Losses) Guarded(began, now time.Time, fence time.Duration) time.Time {
	if now.Sub(began) > fence*8/10 || l.Since(began) {
		return time.Time{}
	}
	return now.Add(fence)
}
