package tiered

import "sync/atomic"

// forecast tells, by what the last reads found in Redis, whether the next one is
// likely to find nothing. Such a read asks for the lease at once: the answer is the
// record if there is one after all, and a round trip is saved if there is none. A
// record costs Redis three times what GET takes then, so most reads must miss.
//
// Reads that end at the same time may lose each other's notes, which moves it later.
type forecast struct {
	missed atomic.Int32 // of the last reads, up to allMissed
}

// allMissed stands for every read.
const allMissed = 1 << 12

// miss reports whether three in four of the last reads found nothing.
func (f *forecast) miss() bool { return f.missed.Load() > allMissed*3/4 }

// note tells what a read has found at first.
func (f *forecast) note(missed bool) {
	const last = 16 // reads that weigh, roughly
	share, now := f.missed.Load(), int32(0)
	if missed {
		now = allMissed
	}
	f.missed.Store(share + (now-share)/last)
}
