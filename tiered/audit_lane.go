package tiered

import (
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// lane is the checks of one kind: their limits and their outcomes.
type lane struct {
	against    string
	interval   int64 // between checks at an even pace, ns
	maxPending int64

	pending  atomic.Int64
	next     atomic.Int64 // Instant at which a check is due at an even pace
	outcomes [auditOutcomes]atomic.Uint64
	told     [2]atomic.Int64 // Instant from which on AuditStale, AuditUnannounced is to be reported again
}

func (l *lane) limit(against string, rate, pending int) {
	l.against, l.maxPending = against, int64(pending)
	l.interval = int64(time.Second) / int64(rate)
}

// enter takes a place; leave gives it back.
func (l *lane) enter(now coherence.Instant) bool {
	if l.pending.Add(1) <= l.maxPending && l.pace(now) {
		return true
	}
	l.pending.Add(-1)
	return false
}

// pace allows checks at an even pace, and in bursts of a tenth of a second's.
func (l *lane) pace(now coherence.Instant) bool {
	const burst = 100 * time.Millisecond
	for {
		next := l.next.Load()
		if next > int64(now.Add(burst)) {
			return false
		}
		if l.next.CompareAndSwap(next, max(next, int64(now))+l.interval) {
			return true
		}
	}
}

func (l *lane) leave(o AuditOutcome) {
	l.outcomes[o].Add(1)
	l.pending.Add(-1)
}

// due reports whether it is time to report such an outcome again.
func (l *lane) due(o AuditOutcome, now coherence.Instant) bool {
	told := &l.told[o-AuditStale]
	at := told.Load()
	return int64(now) >= at && told.CompareAndSwap(at, int64(now.Add(time.Minute)))
}

func (l *lane) snapshot() (c AuditChecks) {
	for i := range l.outcomes {
		c.Outcomes[i] = l.outcomes[i].Load()
	}
	c.Pending = int(l.pending.Load())
	return c
}
