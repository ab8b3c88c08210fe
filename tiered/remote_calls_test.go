package tiered

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/token"
)

// piper counts the pipelines of a client.
type piper struct {
	recorder
	sent *atomic.Int32
}

func (p piper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		p.sent.Add(1)
		return next(ctx, cmds)
	}
}

// Calls that queue share round trips, and each gets its own result.
func TestCallsShareRoundTrips(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		r, limits := a.cache.remote, callLimits(0)
		calls := limits.Slots + 2*limits.Most
		var trips atomic.Int32
		a.rdb.AddHook(piper{recorder{func([]any) {}}, &trips})
		together := func(command string, do func(i int)) {
			held := make(chan bool)
			var all sync.WaitGroup
			for i := range calls {
				if i < limits.Slots {
					a.before(command, func() error { <-held; return nil })
				}
				all.Go(func() { do(i) })
				s.settle()
			}
			close(held)
			all.Wait()
			if got := trips.Swap(0); got > int32(calls/4) { // some are forgotten scripts' second runs
				t.Errorf("%d times %s took %d round trips", calls, command, got)
			}
		}
		tokens, leases := make([]token.Token, calls), make([]string, calls)
		together("ACQUIRE", func(i int) {
			tokens[i] = token.New()
			recs, err := r.acquire(s.Context(), []string{fmt.Sprint(i)}, tokens[i:i+1], []string{""})
			if err != nil || recs[0].kind != mine {
				t.Errorf("ACQUIRE of %d: %v, %v", i, recs, err)
				return
			}
			leases[i] = recs[0].lease
		})
		together("COMMIT", func(i int) {
			life := time.Minute + time.Duration(i)*time.Second
			stored := r.commit(s.Context(), fill{fmt.Sprint(i), leases[i], append([]byte("V"), tokens[i].String()...), life})
			if !stored[0] || s.redis.TTL("f:p:"+fmt.Sprint(i)) != life {
				t.Errorf("COMMIT of %d: %v", i, stored)
			}
		})
	})
}
