package tiered

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/coherence"
)

// local is the tier in this process's memory. Ristretto decides what stays in it, and
// the index holds that. Nothing else is asked of ristretto: its deletions and the order
// of its writes are not to be relied upon, so that an entry proves itself at every hit.
type local[V any] struct {
	policy *ristretto.Cache[uint64, struct{}]
	index  index[V]
	ghosts ghosts

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

// entryOverhead is what an entry costs beyond its key, its encoded value and itself:
// ristretto's two maps, measured where they are emptiest.
const entryOverhead = 156

func newLocal[V any](maxBytes int64, hash func(key string) uint64) (*local[V], error) {
	sized := min(maxBytes, 4<<30) // the tables grow no further
	l := &local[V]{index: newIndex[V](sized, hash), ghosts: newGhosts(sized)}
	row := counterRow(sized)
	tables := row*bytesPerCounter + int64(len(l.index.slots))*8 + int64(len(l.ghosts))*4
	gone := func(item *ristretto.Item[struct{}]) { l.index.drop(item.Key) }
	var err error
	l.policy, err = ristretto.NewCache(&ristretto.Config[uint64, struct{}]{
		NumCounters:        row * 83 / 100,
		MaxCost:            max(maxBytes-tables, 1),
		BufferItems:        64,
		IgnoreInternalCost: true,
		KeyToHash:          func(h uint64) (uint64, uint64) { return h, 0 },
		OnEvict:            gone,
		OnReject:           gone,
	})
	return l, err
}

// bytesPerCounter is what ristretto takes for a frequency counter: half a byte in each
// of four rows, and a byte of a Bloom filter of 9.6 bits a counter, of which it rounds
// up both to powers of two: 0.83 of the length of a row fill them.
const bytesPerCounter = 3

// counterRow returns the length of the rows: four to eight counters for each of the
// smallest entries. With fewer, frequencies are forgotten too soon.
func counterRow(maxBytes int64) int64 {
	const smallest = 288 // bytes
	return int64(1) << bits.Len64(uint64(max(maxBytes/smallest*4, 1024)-1))
}

// samples reports whether a hit is to be shown to ristretto, whose policy would take a
// hot entry for a cold one otherwise. The instant is the dice; the hash, for calls that
// read many keys at one instant.
func samples(hash uint64, now coherence.Instant) bool { return mix(hash+uint64(now))>>58 == 0 }

// mix spreads the bits of a number upwards: the golden ratio's, after Knuth.
func mix(n uint64) uint64 { return n * 0x9E3779B97F4A7C15 }

// get returns the copy of key, which is yet to be judged, or nil.
func (l *local[V]) get(hash uint64, key string) *entry[V] { return l.index.find(hash, key) }

// show tells ristretto's policy of an access.
func (l *local[V]) show(hash uint64) {
	g := l.gate(hash)
	g.RLock()
	defer g.RUnlock()
	if !l.closed {
		l.policy.Get(hash)
	}
}

// set stores a copy that is size bytes long when encoded. It may be dropped.
func (l *local[V]) set(hash uint64, e *entry[V], size int) {
	g := l.gate(hash)
	g.RLock()
	defer g.RUnlock()
	cost := int64(size) + int64(len(e.key)) + int64(unsafe.Sizeof(*e)) + entryOverhead
	if l.closed || !l.takes(hash, e.key, cost) || !l.index.put(hash, e) {
		return
	}
	l.policy.Get(hash) // an access
	if !l.policy.Set(hash, struct{}{}, cost) {
		l.index.drop(hash)
	}
}

// takes reports whether a copy is offered to ristretto, which admits too much to a full
// cache: what comes once has pushed out what comes now and then. A key is offered, and
// its misses counted, from the second time on that it is missed.
func (l *local[V]) takes(hash uint64, key string, cost int64) bool {
	return l.index.find(hash, key) != nil || l.policy.RemainingCost() >= cost || l.ghosts.seen(hash)
}

func (l *local[V]) close() {
	for i := range l.gates {
		l.gates[i].Lock()
		defer l.gates[i].Unlock()
	}
	if !l.closed {
		l.closed = true
		l.index.clear()
		l.policy.Close()
	}
}
