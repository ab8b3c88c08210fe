package tiered

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOutcomeBeatsCancel: the goroutine of a load cancelled its own context when
// it was done, and the waiter, seeing both, took the cancellation for the
// outcome now and then. The demo found it: 11 of 611 orders failed with "context
// canceled" although nobody had cancelled anything.
func TestOutcomeBeatsCancel(t *testing.T) {
	var running sync.WaitGroup
	var loads, failed atomic.Uint64
	s := &source{timeout: time.Minute, running: &running, loads: &loads, failed: &failed}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 2000 {
				v, _, err := run(t.Context(), s, func(context.Context) (int, error) { return 42, nil })
				if v != 42 || err != nil {
					t.Errorf("run = %d, %v, want 42", v, err)
					return
				}
			}
		})
	}
	callers.Wait()
	running.Wait()
}
