package tiered

import "sync/atomic"

// front answers hits on the hottest entries of the local tier without a lock:
// one entry a slot, picked by the hash. It holds nothing that ristretto has let
// go of, so that MaxLocalBytes bounds both, and its slots are no second truth: an
// entry proves itself at every hit, wherever it was found.
type front[V any] struct {
	slots []atomic.Pointer[entry[V]]
}

const (
	maxSlots     = 1 << 16
	bytesPerSlot = 512 // of MaxLocalBytes: about a slot for each entry
)

func newFront[V any](maxBytes int64) front[V] {
	n := int64(64)
	for n < maxSlots && n*bytesPerSlot < maxBytes {
		n *= 2
	}
	return front[V]{make([]atomic.Pointer[entry[V]], n)}
}

// slot masks by the length, which is a power of two, so that no bounds are checked.
func (f *front[V]) slot(hash uint64) *atomic.Pointer[entry[V]] {
	return &f.slots[hash&uint64(len(f.slots)-1)]
}

// put shows an entry that ristretto holds, unless the slot shows a newer one of
// the key. If ristretto lets go of it meanwhile, either drop finds it in its slot or
// put finds it gone.
func (f *front[V]) put(hash uint64, e *entry[V]) {
	s := f.slot(hash)
	if old := s.Load(); old != e && newer(e, old) {
		s.Store(e)
		if e.gone.Load() {
			s.CompareAndSwap(e, nil)
		}
	}
}

// renew puts an entry where the slot shows the key: a refreshed value takes the
// place of the one that asked for it.
func (f *front[V]) renew(hash uint64, e *entry[V]) {
	if old := f.slot(hash).Load(); old != nil && old.key == e.key {
		f.put(hash, e)
	}
}

// drop takes back what ristretto has evicted or not admitted.
func (f *front[V]) drop(hash uint64, e *entry[V]) {
	e.gone.Store(true)
	f.slot(hash).CompareAndSwap(e, nil)
}

func (f *front[V]) clear() {
	for i := range f.slots {
		f.slots[i].Store(nil)
	}
}
