package tiered

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/mutant"
)

// entry is a local copy. Except for gone it is immutable once it is stored. What a
// hit reads comes first.
type entry[V any] struct {
	key string

	gen    uint64            // of the key, before anything was read
	hard   coherence.Instant // from here on it is not served
	early  coherence.Instant // from here on a hit may refresh ahead of time
	loaded coherence.Instant // when anything was read

	negative bool        // the source has no such record
	weak     bool        // loaded without Redis: served to loaded+MaxStale only
	gone     atomic.Bool // ristretto has let go of it

	value V

	soft  coherence.Instant // from here on a hit refreshes
	delta int64             // how long the load took, ns
	stamp [16]byte          // of the record in Redis it stands for
}

// local is the tier in this process's memory. Ristretto stores and evicts, and
// nothing else is asked of it: its deletions and the order of its writes are
// not to be relied upon, so that an entry proves itself at every hit.
type local[V any] struct {
	cache *ristretto.Cache[uint64, *entry[V]]
	front front[V]

	// Ristretto panics when it is used while it closes. Its users hold one gate,
	// picked by the key so that cores seldom share it; close holds all.
	gates  [16]gate
	closed bool // guarded by the gates
}

type gate struct {
	sync.RWMutex
	_ [40]byte // a cache line each
}

func (l *local[V]) gate(hash uint64) *gate { return &l.gates[hash>>32%uint64(len(l.gates))] }

// entryOverhead is what an entry costs beyond its key and encoded value:
// ristretto's bookkeeping, measured at about 222 bytes, and the entry itself.
const entryOverhead = 222

func newLocal[V any](maxBytes int64) (*local[V], error) {
	l := &local[V]{front: newFront[V](maxBytes)}
	var err error
	l.cache, err = ristretto.NewCache(&ristretto.Config[uint64, *entry[V]]{
		NumCounters:        frequencies(maxBytes),
		MaxCost:            maxBytes,
		BufferItems:        64,
		IgnoreInternalCost: true,
		KeyToHash:          func(h uint64) (uint64, uint64) { return h, 0 },
		ShouldUpdate:       newer[V],
		OnEvict:            l.drop,
		OnReject:           l.drop,
	})
	return l, err
}

// frequencies returns the number of frequency counters, 4 bytes each: ten for each
// of the smallest entries, as ristretto advises. It allocates them by powers of
// two, so that any other number would shorten its memory and save nothing.
func frequencies(maxBytes int64) int64 {
	const smallest = 384 // bytes
	return int64(1) << bits.Len64(uint64(max(10*maxBytes/smallest, 1000)-1))
}

// newer keeps a late, older copy from replacing a newer one.
func newer[V any](cur, prev *entry[V]) bool {
	return prev == nil || cur.key != prev.key || cur.gen > prev.gen ||
		cur.gen == prev.gen && cur.loaded >= prev.loaded
}

// peek returns the entry in the slot of a hash, which may be of another key, or
// nil.
func (l *local[V]) peek(hash uint64) *entry[V] { return l.front.slot(hash).Load() }

// samples reports whether a hit in front is to be shown to ristretto, whose policy
// would take a hot entry for a cold one otherwise. The instant is the dice.
func samples(now coherence.Instant) bool { return mix(uint64(now))>>59 == 0 }

// mix spreads the bits of a number upwards: the golden ratio's, after Knuth.
func mix(n uint64) uint64 { return n * 0x9E3779B97F4A7C15 }

// get returns the copy of key, which is yet to be judged, or nil.
func (l *local[V]) get(hash uint64, key string) *entry[V] {
	g := l.gate(hash)
	g.RLock()
	defer g.RUnlock()
	if l.closed {
		return nil
	}
	e, ok := l.cache.Get(hash)
	if !ok || e == nil || e.key != key && !mutant.KeyBlind {
		return nil
	}
	l.front.put(hash, e)
	return e
}

// set stores a copy that is size bytes long when encoded. It may be dropped.
func (l *local[V]) set(hash uint64, e *entry[V], size int) {
	g := l.gate(hash)
	g.RLock()
	defer g.RUnlock()
	if l.closed {
		return
	}
	cost := int64(size) + int64(len(e.key)) + int64(unsafe.Sizeof(*e)) + entryOverhead
	if held := l.cache.Set(hash, e, cost); held {
		l.front.renew(hash, e)
	}
}

// drop hears of everything that ristretto evicts or does not admit.
func (l *local[V]) drop(item *ristretto.Item[*entry[V]]) {
	if item.Value != nil { // nil: it was deleted meanwhile
		l.front.drop(item.Key, item.Value)
	}
}

func (l *local[V]) close() {
	for i := range l.gates {
		l.gates[i].Lock()
		defer l.gates[i].Unlock()
	}
	if !l.closed {
		l.closed = true
		l.front.clear()
		l.cache.Close()
	}
}
