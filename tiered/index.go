package tiered

import (
	"sync"
	"sync/atomic"
)

// index finds the entries of the local tier without a lock: a chain of them for each
// slot, and one entry for each hash, as ristretto counts them. Its deletions are not
// relied upon: an entry proves itself at every hit.
type index[V any] struct {
	slots []atomic.Pointer[entry[V]]
	locks [64]sync.Mutex // for those who change a chain
	hash  func(key string) uint64
}

func newIndex[V any](maxBytes int64, hash func(key string) uint64) index[V] {
	const bytesPerSlot = 512 // of MaxLocalBytes: about a slot for each entry
	n := int64(64)
	for 2*n*bytesPerSlot <= maxBytes {
		n *= 2
	}
	return index[V]{slots: make([]atomic.Pointer[entry[V]], n), hash: hash}
}

// slot masks by the length, which is a power of two, so that no bounds are checked.
func (x *index[V]) slot(hash uint64) *atomic.Pointer[entry[V]] {
	return &x.slots[hash&uint64(len(x.slots)-1)]
}

// find returns the entry of key, or nil. It may meet an entry that is just being
// taken out, and goes on from there.
func (x *index[V]) find(hash uint64, key string) *entry[V] {
	e := x.slot(hash).Load()
	for e != nil && e.key != key {
		e = e.next.Load()
	}
	return e
}

// put enters e in the place of the entry that has its hash, and reports whether it did:
// not where that is a newer copy of the key.
func (x *index[V]) put(hash uint64, e *entry[V]) bool {
	defer x.lock(hash).Unlock()
	at, old := x.seek(hash)
	if old != nil {
		if old.key == e.key && !newer(e, old) {
			return false
		}
		e.next.Store(old.next.Load())
	}
	at.Store(e)
	return true
}

// drop takes out the entry that has the hash.
func (x *index[V]) drop(hash uint64) {
	defer x.lock(hash).Unlock()
	if at, old := x.seek(hash); old != nil {
		at.Store(old.next.Load())
	}
}

func (x *index[V]) lock(hash uint64) *sync.Mutex {
	l := &x.locks[hash%uint64(len(x.locks))]
	l.Lock()
	return l
}

// seek returns the entry that has the hash and where it hangs; nil, and the end of the
// chain, if there is none.
func (x *index[V]) seek(hash uint64) (at *atomic.Pointer[entry[V]], e *entry[V]) {
	at = x.slot(hash)
	for e = at.Load(); e != nil && x.hash(e.key) != hash; e = at.Load() {
		at = &e.next
	}
	return at, e
}

func (x *index[V]) clear() {
	for i := range x.slots {
		x.slots[i].Store(nil)
	}
}
