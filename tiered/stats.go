package tiered

import (
	"sync/atomic"
	"unsafe"
)

// Stats are counters since New. Take two snapshots for rates.
type Stats struct {
	LocalHits      uint64 // served from this process's memory
	RemoteHits     uint64 // served from Redis
	Misses         uint64 // neither tier held a value that may be served
	Loads          uint64 // calls of loaders, refreshes included; a batch counts once
	LoadErrors     uint64 // of these, failed (ErrNotFound is no failure)
	StaleServed    uint64 // expired values served while somebody refreshed them
	Refreshes      uint64 // values refreshed by this process
	Waits          uint64 // reads that waited for another process's load
	WeakLoads      uint64 // loads without Redis, kept for MaxStale at most
	Bypassed       uint64 // loads not stored: key fenced, value too large, or option Bypass
	RefusedFills   uint64 // loads whose lease was gone when they ended
	Updates        uint64 // calls of writers through Update, failed ones included
	WrittenThrough uint64 // of these, stored in both tiers
	NotWritten     uint64 // Updates refused with ErrNotWritten
	Unconfirmed    uint64 // writes whose invalidation is being retried
	Invalidated    uint64 // keys given to Invalidate, or found gone or too large by a refresh
	Corrupt        uint64 // records in Redis that could not be read
	TooLarge       uint64 // values over MaxValueBytes: returned, not stored

	Panics uint64 // of Clone and OnFinding

	Audit AuditStats // of Config.Audit
}

type counters struct {
	remoteHits, misses, loads, loadErrors, staleServed, refreshes, waits, weakLoads, bypassed, refusedFills,
	updates, writtenThrough, notWritten, unconfirmed, invalidated, corrupt, tooLarge, panics atomic.Uint64

	localHits striped
}

// striped is a counter that many cores add to: each goroutine adds to one of its
// cache lines.
type striped [32]struct {
	n atomic.Uint64
	_ [56]byte
}

// add picks the line by where the goroutine's stack lies. Like in LongAdder (Doug
// Lea, JSR 166) any choice is right, and one that sticks to the core is fast.
func (s *striped) add() {
	var here byte
	s[mix(uint64(uintptr(unsafe.Pointer(&here))>>11))>>59].n.Add(1)
}

func (s *striped) load() (sum uint64) {
	for i := range s {
		sum += s[i].n.Load()
	}
	return sum
}

// tally counts a load by what becomes of the value.
func (n *counters) tally(do action) {
	switch do {
	case hold:
		n.misses.Add(1)
	case bypass, pass:
		n.bypassed.Add(1)
	case distrust:
		n.weakLoads.Add(1)
	}
}

// Stats returns the cache's counters.
func (c *Cache[V]) Stats() Stats {
	n := &c.counts
	return Stats{
		LocalHits: n.localHits.load(), RemoteHits: n.remoteHits.Load(), Misses: n.misses.Load(),
		Loads: n.loads.Load(), LoadErrors: n.loadErrors.Load(), StaleServed: n.staleServed.Load(),
		Refreshes: n.refreshes.Load(), Waits: n.waits.Load(), WeakLoads: n.weakLoads.Load(),
		Bypassed: n.bypassed.Load(), RefusedFills: n.refusedFills.Load(), Updates: n.updates.Load(),
		WrittenThrough: n.writtenThrough.Load(), NotWritten: n.notWritten.Load(), Unconfirmed: n.unconfirmed.Load(),
		Invalidated: n.invalidated.Load(), Corrupt: n.corrupt.Load(), TooLarge: n.tooLarge.Load(), Panics: n.panics.Load(),
		Audit: c.auditor.stats(),
	}
}
