package tiered

import "sync/atomic"

// forecast tells, by what the last reads found in Redis, whether the next one is
// likely to find nothing. Such a read asks for the lease at once: the answer is the
// record if there is one after all, and a round trip is saved if there is none. A
// record costs Redis three times what GET takes then, so most reads must miss.
//
// Reads that end at the same time may lose each other's notes, which moves it later.
type forecast struct {
	missed atomic.Int32 // share of the last reads
}

const (
	always = 1 << 12 // the whole share
	memory = 16      // reads for which a note counts, roughly
)

// miss reports whether three in four of the last reads found nothing.
func (f *forecast) miss() bool { return f.missed.Load() > always*3/4 }

// note tells what a read has found at first.
func (f *forecast) note(missed bool) {
	share := f.missed.Load()
	towards := -share
	if missed {
		towards = always - share
	}
	f.missed.Store(share + towards/memory)
}
