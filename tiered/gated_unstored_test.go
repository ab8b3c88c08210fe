package tiered

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// A's COMMIT fails, as one does that takes too long. A gives its lease up, so that B does
// not wait for it, and says so once.
func TestGatedFailedFillGivesItsLeaseUp(t *testing.T) {
	gated(t, func(s *stage) {
		var told atomic.Int32
		s.onEvent = func(e coherence.Event) {
			if e.Kind == coherence.EventUnstored {
				told.Add(1)
			}
		}
		a, b := s.join(), s.join()
		for range 2 {
			a.before("COMMIT", func() error { return errCut })
			a.want(1, "the source answers")
			s.settle()
			began := time.Now()
			b.want(1, "the lease was given up")
			if waited := time.Since(began); waited >= time.Second {
				s.Errorf("B waited for %v", waited)
			}
			b.change(1)
			s.outlast()
		}
		if got := told.Load(); got != 1 {
			s.Errorf("told %d times, want once until a value is stored", got)
		}
	})
}

// What travels together is bounded by bytes: of records that are stored, and of those that
// are read as far as their size can be expected.
func TestGatedBatchesAreCutByBytes(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		r := a.cache.remote
		var trips atomic.Int32
		a.rdb.AddHook(piper{recorder{func([]any) {}}, &trips})
		r.commit(s.Context(), fill{key: "warm", lease: "x"}) // the server knows the script
		trips.Store(0)
		fills := make([]fill, 3)
		for i := range fills {
			fills[i] = fill{key: fmt.Sprint(i), lease: "none", record: make([]byte, batchBytes/2+1), px: time.Second}
		}
		r.commit(s.Context(), fills...)
		if got := trips.Load(); got != 3 {
			s.Errorf("%d round trips for three records of 2 MB, want 3", got)
		}
		if got := r.most(); got != pipelined {
			s.Errorf("%d values of unknown size are asked for, want %d", got, pipelined)
		}
		r.expect(100 << 10)
		if got, want := r.most(), 40; got != want {
			s.Errorf("%d values of 100 KiB are asked for, want %d", got, want)
		}
		for range 1000 {
			r.expect(100)
		}
		if got := r.most(); got != pipelined {
			s.Errorf("%d small values are asked for, want %d", got, pipelined)
		}
	})
}
