package tiered

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

// I12. A's load takes longer than a lease; B waits for it all the time, and the
// source is asked once.
func TestGatedI12LeaseIsRenewed(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		first := a.start(func() { time.Sleep(2 * DefaultLeaseTTL) })
		second := b.start(func() {})
		first.want(1, "the loader")
		second.want(1, "the waiter")
		if n := s.source.loaded(); n != 1 {
			s.Errorf("the source was asked %d times, want once", n)
		}
	})
}

// I12. A's load takes for ever; B loads for itself after WaitMax.
func TestGatedI12WaitEnds(t *testing.T) {
	gated(t, func(s *stage) {
		slow := func(c *Config[int]) { c.LoadTimeout = time.Minute }
		a, b := s.join(slow), s.join(slow)
		first := a.start(func() { time.Sleep(30 * time.Second) })
		began := time.Now()
		b.want(1, "B loads for itself")
		if took := time.Since(began); took > DefaultWaitMax+100*time.Millisecond {
			s.Errorf("B waited for %v", took)
		}
		first.want(1, "the loader")
	})
}

// I12. Three nodes hold the same expired value and read it at once: one refreshes.
func TestGatedI12OneRefresh(t *testing.T) {
	gated(t, func(s *stage) {
		stale := func(c *Config[int]) { c.TTL, c.StaleTTL = time.Second, time.Hour }
		nodes := []*actor{s.join(stale), s.join(stale), s.join(stale)}
		for _, n := range nodes {
			n.want(1, "first load")
		}
		time.Sleep(1500 * time.Millisecond)
		before := s.source.loaded()
		for _, n := range nodes {
			n.start(func() { time.Sleep(100 * time.Millisecond) }).want(1, "the expired value")
		}
		time.Sleep(time.Second / 2)
		if n := s.source.loaded() - before; n != 1 {
			s.Errorf("%d nodes refreshed, want 1", n)
		}
	})
}

// I12. A batch of A gets the lease of k1 and finds k2 leased to B, whose load ends
// only when Redis holds k1: A fills what is its own before it waits.
func TestGatedI12BatchFillsBeforeItWaits(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		s.source.values = map[string]int{key: 1, "k1": 1}
		second := b.start(func() {
			for range 10_000 {
				if raw, _ := s.redis.Get("f:p:k1"); raw != "" && raw[0] == 'V' {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		began := time.Now()
		found, err := a.cache.GetMany(s.Context(), []string{"k1", key}, s.source.loadMany)
		if err != nil || fmt.Sprint(found) != "map[k:1 k1:1]" {
			s.Errorf("GetMany = %v, %v", found, err)
		}
		if took := time.Since(began); took > time.Second {
			s.Errorf("GetMany took %v: it waited before it filled", took)
		}
		second.want(1, "B's load")
	})
}

func (r *register) loadMany(ctx context.Context, keys []string) (map[string]int, error) {
	found := make(map[string]int)
	for _, k := range keys {
		if v, err := r.load(ctx, k); err == nil {
			found[k] = v
		}
	}
	return found, nil
}

// All round trips that calls share are under way when two more queue: one whose caller
// leaves, and one that waits for longer than a Timeout. They are not sent, for they
// might arrive after what their callers send next.
func TestGatedAbandonedCallIsNotSent(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		r := a.cache.remote
		acquire := func(ctx context.Context, key string) chan error {
			done := make(chan error, 1)
			go func() {
				_, err := r.one(ctx, script.Acquire, key, token.New().String(), int64(60_000), "")
				done <- err
			}()
			s.settle()
			return done
		}
		held := make(chan bool)
		for i := range callLimits(0).Slots {
			a.before("ACQUIRE", func() error { <-held; return nil })
			acquire(s.Context(), fmt.Sprint("ahead", i))
		}
		ctx, leave := context.WithCancel(s.Context())
		left, late := acquire(ctx, "left"), acquire(s.Context(), "late")
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			s.Errorf("who left: %v", err)
		}
		time.Sleep(r.timeout + 1)
		in := acquire(s.Context(), "in time")
		close(held)
		if err := <-late; !errors.Is(err, errQueued) {
			s.Errorf("who was late: %v, want %v", err, errQueued)
		}
		s.settle()
		for _, key := range []string{"left", "late"} {
			if s.redis.Exists(key) {
				s.Errorf("the call of who was %s has run", key)
			}
		}
		if err := <-in; err != nil || !s.redis.Exists("in time") {
			s.Errorf("who came in time: %v", err)
		}
	})
}

// The reply to A's ACQUIRE is lost. The load lock may be A's, which loads without it,
// so A gives it back: B need not wait for its end.
func TestGatedDoubtfulLockIsGivenBack(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.after("ACQUIRE", func() error { return errCut })
		a.want(1, "loaded without Redis")
		began := time.Now()
		b.want(1, "loads")
		if took := time.Since(began); took > 0 || !b.holds() {
			s.Errorf("B's read took %v, and it keeps the value: %t", took, b.holds())
		}
	})
}
