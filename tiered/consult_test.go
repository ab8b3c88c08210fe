package tiered

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Every number gets its turn once.
func TestSpread(t *testing.T) {
	for _, n := range []int{0, 1, share, 2 * share, 2*share + 1, 1000} {
		turns := make([]atomic.Int32, n)
		spread(n, func(i int) { turns[i].Add(1) })
		for i := range turns {
			if got := turns[i].Load(); got != 1 {
				t.Errorf("%d of %d had %d turns", i, n, got)
			}
		}
	}
}

// Two cores share the work: the bubble is locked up if one waits for the other in vain.
func TestSpreadOverCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	synctest.Test(t, func(*testing.T) {
		var both sync.WaitGroup
		both.Add(2)
		spread(2*share, func(i int) {
			if i < 2 {
				both.Done()
				both.Wait()
			}
		})
	})
}
