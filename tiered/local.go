package tiered

import (
	"math/rand/v2"
	"sync"
	"unsafe"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/mutant"
)

// entry is a local copy. It is immutable once it is stored.
type entry[V any] struct {
	key   string
	value V

	gen    uint64            // of the key, before anything was read
	loaded coherence.Instant // when that was
	early  coherence.Instant // from here on a hit may refresh ahead of time
	soft   coherence.Instant // from here on a hit refreshes
	hard   coherence.Instant // from here on it is not served

	delta    int64    // how long the load took, ns
	stamp    [16]byte // of the record in Redis it stands for
	negative bool     // the source has no such record
	weak     bool     // loaded without Redis: served to loaded+MaxStale only
}

// local is the tier in this process's memory. Ristretto stores and evicts, and
// nothing else is asked of it: its deletions and the order of its writes are
// not to be relied upon, so that an entry proves itself at every hit.
type local[V any] struct {
	cache *ristretto.Cache[uint64, *entry[V]]

	// Ristretto panics when it is used while it closes. Readers hold one gate,
	// picked at random so that cores do not share it; close holds all.
	gates  [16]gate
	closed bool // guarded by the gates
}

type gate struct {
	sync.RWMutex
	_ [40]byte // a cache line each
}

func (l *local[V]) gate() *gate { return &l.gates[rand.Uint32()%uint32(len(l.gates))] }

// entryOverhead is what an entry costs beyond its key and encoded value:
// ristretto's bookkeeping, measured at about 222 bytes, and the entry itself.
const entryOverhead = 222

func newLocal[V any](maxBytes int64) (*local[V], error) {
	const typical = 512 // bytes of an entry, to size ristretto's frequency counters
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *entry[V]]{
		NumCounters:        max(10*maxBytes/typical, 1000),
		MaxCost:            maxBytes,
		BufferItems:        64,
		IgnoreInternalCost: true,
		KeyToHash:          func(h uint64) (uint64, uint64) { return h, 0 },
		ShouldUpdate:       newer[V],
	})
	if err != nil {
		return nil, err
	}
	return &local[V]{cache: cache}, nil
}

// newer keeps a late, older copy from replacing a newer one.
func newer[V any](cur, prev *entry[V]) bool {
	return prev == nil || cur.key != prev.key || cur.gen > prev.gen ||
		cur.gen == prev.gen && cur.loaded >= prev.loaded
}

// get returns the copy of key, which is yet to be judged, or nil.
func (l *local[V]) get(hash uint64, key string) *entry[V] {
	g := l.gate()
	g.RLock()
	var e *entry[V]
	ok := !l.closed
	if ok {
		e, ok = l.cache.Get(hash)
	}
	g.RUnlock()
	if !ok || e == nil || e.key != key && !mutant.KeyBlind {
		return nil
	}
	return e
}

// set stores a copy that is size bytes long when encoded. It may be dropped.
func (l *local[V]) set(hash uint64, e *entry[V], size int) {
	g := l.gate()
	g.RLock()
	defer g.RUnlock()
	if l.closed {
		return
	}
	cost := int64(size) + int64(len(e.key)) + int64(unsafe.Sizeof(*e)) + entryOverhead
	l.cache.Set(hash, e, cost)
}

func (l *local[V]) close() {
	for i := range l.gates {
		l.gates[i].Lock()
		defer l.gates[i].Unlock()
	}
	if !l.closed {
		l.closed = true
		l.cache.Close()
	}
}
