package tiered

import (
	"iter"
	"math/bits"
	"sync/atomic"
	"time"
)

// ageBuckets of Ages: up to 1 ms, 2 ms, 4 ms and so on to 70 minutes, which is
// longer than a local copy lives.
const ageBuckets = 23

// Ages is a histogram of the ages of copies when they were served: the time since
// before their data were read. It is no measure of staleness: an old copy of
// what did not change is fresh.
type Ages struct {
	Buckets [ageBuckets]uint64 // bucket i: over 2^(i-1) ms, up to 2^i ms
	Sum     time.Duration      // of all ages
}

// Count is the number of ages.
func (a Ages) Count() (sum uint64) {
	for _, n := range a.Buckets {
		sum += n
	}
	return sum
}

// Cumulative yields the upper bound of each bucket and the number of ages up to
// it, as Prometheus counts.
func (a Ages) Cumulative() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		var sum uint64
		for i, n := range a.Buckets {
			sum += n
			if !yield(time.Millisecond<<i, sum) {
				return
			}
		}
	}
}

func (a *Ages) merge(o *Ages) {
	for i, n := range o.Buckets {
		a.Buckets[i] += n
	}
	a.Sum += o.Sum
}

// ages is Ages being counted.
type ages struct {
	buckets [ageBuckets]atomic.Uint64
	sum     atomic.Int64
}

func (a *ages) add(age time.Duration) {
	age = max(age, 1) // a copy may be younger than the read that it serves
	a.buckets[min(bits.Len64(uint64((age-1)/time.Millisecond)), ageBuckets-1)].Add(1)
	a.sum.Add(int64(age))
}

func (a *ages) snapshot() (s Ages) {
	for i := range a.buckets {
		s.Buckets[i] = a.buckets[i].Load()
	}
	s.Sum = time.Duration(a.sum.Load())
	return s
}
