package tiered

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// I3. A holds a copy; A is cut off; B updates; MaxStale passes. A has no proof any
// more that its copy is good: the read goes to the source.
func TestGatedI3LeaseRunsOut(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		a.link.Cut()
		b.update(2)
		s.outlast()
		a.want(2, "the lease has run out")
	})
}

// I3. A holds a copy and is cut off; B updates; A's lease runs out. A read begins,
// and only then A is healed, repairs the gap and extends its lease: the lease is
// read before the generation, so that the new lease does not vouch for the old
// generation.
func TestGatedI3LeaseBeforeGeneration(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		a.link.Cut()
		b.update(2)
		s.outlast()
		a.link.Heal()
		a.want(2, "the read began without a lease")
	})
}

// I2. A holds a copy; B updates; A hears of it; the read finds another generation
// although A is in step.
func TestGatedI2GenerationMoves(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		b.update(2)
		s.settle()
		a.want(2, "the update was heard")
		b.change(3)
		s.settle()
		a.want(3, "the invalidation was heard")
	})
}

// I2. A reads the value from Redis; before it keeps a copy, B updates and A hears
// of it. The copy has the generation of before the read and is never served.
func TestGatedI2GenerationBeforeRead(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.want(1, "fills Redis")
		a.after("GET", func() error {
			b.update(2)
			s.settle()
			return nil
		})
		a.want(1, "a read that began before the update")
		a.want(2, "the copy is of before the update")
	})
}

// I3, the hole that weak copies would be. B fences and announces; A hears of it; A
// cannot ask Redis and loads the old value; B writes and returns. A is in step all
// the time and hears nothing more: its copy dies of age.
func TestGatedI3WeakCopyDies(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		b.updateBy(func() {
			s.settle()
			a.before("GET", func() error { return errCut })
			a.want(1, "loaded without Redis")
			s.source.set(2)
		})
		s.outlast()
		a.want(2, "a weak copy is not revived by a lease")
	})
}

// I3. A copy younger than MaxStale is served without a lease, and not a moment
// longer.
func TestGatedI3YoungCopyWithoutLease(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		a.link.Cut()
		s.outlast()
		a.want(1, "loaded without Redis")
		loads := s.source.loaded()
		time.Sleep(bound - time.Millisecond)
		a.want(1, "young")
		if got := s.source.loaded(); got != loads {
			s.Errorf("a copy younger than MaxStale was loaded again")
		}
		s.source.set(2)
		time.Sleep(2 * time.Millisecond)
		a.want(2, "old")
	})
}

// I17. A takes the value from Redis shortly before it expires there; its copy does
// not outlive the record.
func TestGatedI17CopyEndsWithRecord(t *testing.T) {
	const ttl = 10 * time.Second
	gated(t, func(s *stage) {
		short := func(c *Config[int]) { c.TTL = ttl }
		a, b := s.join(short), s.join(short)
		b.want(1, "fills Redis")
		time.Sleep(ttl - 100*time.Millisecond)
		a.want(1, "still good")
		s.source.set(2) // past the cache: the TTL is the backstop
		time.Sleep(200 * time.Millisecond)
		a.want(2, "the record has expired")
	})
}

// I17. A record past its hard expiry is not served, though Redis still holds it
// because its clock went back after the record was written.
func TestGatedI17HardExpiryOfRecord(t *testing.T) {
	gated(t, func(s *stage) {
		short := func(c *Config[int]) { c.TTL = 10 * time.Second }
		a, b := s.join(short), s.join(short)
		b.want(1, "fills Redis")
		raw, err := s.redis.Get("f:p:" + key)
		if err != nil {
			s.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		if err := s.redis.Set("f:p:"+key, raw); err != nil {
			s.Fatal(err)
		}
		s.source.set(2)
		a.want(2, "the record is past its hard expiry")
	})
}

// What does not exist is never served stale: A caches ErrNotFound; the record is
// created past the cache; NotFoundTTL passes, StaleTTL does not.
func TestGatedNegativeIsNeverStale(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join(func(c *Config[int]) { c.StaleTTL = time.Hour })
		delete(s.source.values, key)
		if _, err := a.cache.Get(s.Context(), key, s.source.load); !errors.Is(err, ErrNotFound) {
			s.Fatalf("Get: %v, want ErrNotFound", err)
		}
		s.settle()
		s.source.set(1)
		time.Sleep(DefaultNotFoundTTL + time.Millisecond)
		v, err := a.cache.Get(s.Context(), key, s.source.load)
		if v != 1 || err != nil {
			s.Fatalf("Get = %d, %v after NotFoundTTL, want 1", v, err)
		}
	})
}

// A stale value is served while it has expired, never once it was invalidated: the
// loader fails, and the read fails with it.
func TestGatedStaleEndsWithInvalidation(t *testing.T) {
	gated(t, func(s *stage) {
		stale := func(c *Config[int]) { c.TTL, c.StaleTTL = time.Second, time.Hour }
		a, b := s.join(stale), s.join(stale)
		a.want(1, "first load")
		broken := func(context.Context, string) (int, error) { return 0, errors.New("the source is down") }
		time.Sleep(2 * time.Second)
		if v, err := a.cache.Get(s.Context(), key, broken); v != 1 || err != nil {
			s.Fatalf("Get = %d, %v, want the expired value", v, err)
		}
		b.change(2)
		s.settle()
		if v, err := a.cache.Get(s.Context(), key, broken); err == nil {
			s.Fatalf("Get = %d of a value that was invalidated", v)
		}
	})
}

// The lease is the circuit breaker: once it has run out, Redis in a hole costs a
// read nothing and a write one Timeout.
func TestGatedBreakerCostsNothing(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		a.link.Hole()
		time.Sleep(2 * bound)
		began := time.Now()
		a.want(1, "from the source")
		if took := time.Since(began); took != 0 {
			s.Errorf("a read without a lease took %v of waiting for Redis", took)
		}
		began = time.Now()
		_, err := a.cache.Update(s.Context(), key, func(context.Context, string) (int, error) { return 2, nil })
		if took := time.Since(began); !errors.Is(err, ErrNotWritten) || took > a.node.Config().Timeout {
			s.Errorf("a write without a lease: %v after %v", err, took)
		}
	})
}

// Keys whose hashes collide, or agree in the few bits that pick a slot, hang in one
// chain of the local tier: a copy is served for its own key only.
func TestGatedHashCollision(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		a.want(1, "first load")
		e := a.cache.local.get(a.cache.space.Hash(key), key)
		s.source.values["other"] = 7
		a.cache.local.index.slot(a.cache.space.Hash("other")).Store(e)
		if v, err := a.cache.Get(s.Context(), "other", s.source.load); v != 7 || err != nil {
			s.Fatalf("Get = %d, %v, want 7: the copy is another key's", v, err)
		}
	})
}

// A holds a copy that it may not serve any more, and decodes no record that this copy
// stands for. B updates: the record has another stamp, and is decoded.
func TestGatedI1DecodedOnlyByItsStamp(t *testing.T) {
	gated(t, func(s *stage) {
		a, b := s.join(), s.join()
		a.want(1, "first load")
		b.update(2)
		s.settle()
		a.want(2, "the copy stands for the record that was replaced")
	})
}

// Redis is in a hole and all round trips that reads share are under way when another
// read queues. The lease runs out: the read is not sent after them, but goes to the
// source.
func TestGatedQueueEndsWithTheLease(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		timeout, left := a.node.Config().Timeout, 100*time.Millisecond
		a.link.Hole()
		for a.node.Leased(a.node.Now().Add(left)) {
			time.Sleep(time.Millisecond)
		}
		for i := range lookLimits.Slots {
			go func() { _, _ = a.cache.Get(s.Context(), fmt.Sprint("other", i), s.source.load) }()
			s.settle() // a round trip for each
		}
		time.Sleep(left / 2)
		began := time.Now()
		a.want(1, "from the source")
		if took, most := time.Since(began), timeout-left/2; took > most {
			s.Errorf("a read that queued when the lease ran out took %v, the slots were free after %v", took, most)
		}
	})
}

// Redis is in a hole. A lone read sends for itself, but not when its deadline is near:
// it returns when that has passed. One that is cancelled is late by a Timeout at most.
func TestGatedDeadlineOfALoneRead(t *testing.T) {
	gated(t, func(s *stage) {
		a := s.join()
		timeout := a.node.Config().Timeout
		a.link.Hole()
		for why, most := range map[error]time.Duration{context.DeadlineExceeded: timeout / 2, context.Canceled: timeout} {
			ctx, cancel := context.WithCancel(s.Context())
			time.AfterFunc(timeout/2, cancel)
			if why == context.DeadlineExceeded {
				ctx, cancel = context.WithTimeout(s.Context(), timeout/2)
			}
			began := time.Now()
			_, err := a.cache.Get(ctx, key, s.source.load)
			if took := time.Since(began); !errors.Is(err, why) || took > most {
				s.Errorf("Get = %v after %v, want %v after %v at most", err, took, why, most)
			}
			cancel()
		}
	})
}
