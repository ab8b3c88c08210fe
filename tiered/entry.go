package tiered

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// entry is a local copy. Except for next it is immutable once it is stored. What a hit
// reads comes first, and is 64 bytes where the value is a pointer: expiries count from
// loaded, rounded down.
type entry[V any] struct {
	key    string
	next   atomic.Pointer[entry[V]] // of its slot in the index
	gen    uint64                   // of the key, before anything was read
	loaded coherence.Instant        // when anything was read

	hardMillis uint32
	softMillis uint32
	loadMicros uint32 // how long the load took

	negative bool // the source has no such record
	weak     bool // loaded without Redis: served to loaded+MaxStale only

	value V

	mark mark // of the record in Redis it stands for
}

// hard returns the instant from which on the entry is not served.
func (e *entry[V]) hard() coherence.Instant {
	return e.loaded.Add(time.Duration(e.hardMillis) * time.Millisecond)
}

// soft returns the instant from which on a hit refreshes.
func (e *entry[V]) soft() coherence.Instant {
	return e.loaded.Add(time.Duration(e.softMillis) * time.Millisecond)
}

// early returns the instant from which on a hit may refresh ahead of time.
func (e *entry[V]) early() coherence.Instant { return e.soft().Add(-earlyRefresh * e.delta()) }

func (e *entry[V]) delta() time.Duration { return time.Duration(e.loadMicros) * time.Microsecond }

// expire sets what soft, hard and delta return.
func (e *entry[V]) expire(soft, hard coherence.Instant, delta time.Duration) {
	e.softMillis, e.hardMillis = whole(soft.Sub(e.loaded), time.Millisecond), whole(hard.Sub(e.loaded), time.Millisecond)
	e.loadMicros = whole(delta, time.Microsecond)
}

// whole returns how many times unit fits into d, within the range of the result.
func whole(d, unit time.Duration) uint32 { return uint32(min(max(d/unit, 0), math.MaxUint32)) }

// mark tells records apart by their stamps: those of one process differ in its counter,
// and those of two processes differ but for a chance of 2^-64. See package token.
type mark uint64

func markOf(stamp [stampLength]byte) mark {
	return mark(binary.LittleEndian.Uint64(stamp[:8]) + binary.BigEndian.Uint64(stamp[8:]))
}

// newer keeps a late, older copy from replacing a newer one.
func newer[V any](cur, prev *entry[V]) bool {
	return cur.gen > prev.gen || cur.gen == prev.gen && cur.loaded >= prev.loaded
}
