package coherence

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// The gated tests force one order of events each and name the invariant of the
// protocol (I1 to I18) that they guard; internal/mutants proves that each fails
// without its guard. Those of the cache are in package tiered.

// busKey is the bus of the fleet that the worlds' nodes form.
const busKey = "{f}:bus"

// A pair is two nodes with a space of the same name; the first holds a copy of key.
type pair struct {
	a, b   *member
	as, bs *Space
	copy   Stamp
}

func (w *world) pair(with ...func(*Config)) *pair {
	p := &pair{a: w.join(with...), b: w.join(with...)}
	p.as, p.bs = p.a.openSpace(w, "s"), p.b.openSpace(w, "s")
	p.copy = p.as.Stamp("key")
	return p
}

func (w *world) announce(s *Space, keys ...string) {
	w.Helper()
	if err := s.Announce(w.Context(), keys...); err != nil {
		w.Errorf("Announce: %v", err)
	}
}

// while runs f in another goroutine, which stops at a lock that the caller holds,
// and checks that it has not done there what it may not do yet.
func while(t *testing.T, f func(), undone func() bool, unlock func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		defer close(done)
		f()
	}()
	eventually(t, "the goroutine waits for the lock", func() bool {
		stacks := make([]byte, 1<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("[sync.Mutex.Lock"))
	})
	if !undone() {
		t.Error("done too early")
	}
	unlock()
	<-done
}

// lone is a node that stands at entry 1 of epoch 1 and has no Redis.
func lone(t *testing.T) (*Node, *Space) {
	cfg, err := Config{Fleet: "f", OnEvent: func(Event) {}}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(cfg)
	n.history.adopt(report{at: position{1, "aa"}, epoch: 1})
	s, err := n.Space(SpaceConfig{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return n, s
}

// I4, fault 15. Replies take twice MaxStale. A probe that was sent at s proves
// something until s+MaxStale, which is over when its reply comes.
func TestGatedI4LeaseCountsFromSending(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair(func(c *Config) { c.Timeout = time.Minute })
		p.a.link.Delay(2 * p.a.cfg.MaxStale)
		pass(p.a.cfg.MaxStale + time.Millisecond)
		for range 500 {
			pass(10 * time.Millisecond)
			wantState(w, p.a.Node, Adrift)
			if w.Failed() {
				return
			}
		}
	})
}

// I3. A copy that was loaded adrift is never valid: A may have applied the
// announcement of a change before the copy was read, and the change came after.
func TestGatedI3StampTakenAdrift(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		p.a.link.Cut()
		pass(2 * p.a.cfg.MaxStale)
		st := p.as.Stamp("key")
		p.a.link.Heal()
		pass(p.a.cfg.MaxStale)
		wantState(w, p.a.Node, InStep)
		wantValid(w, p.as, st, false)
	})
}

// I17. Replies take 200 ms. What A takes for the latest and the earliest time of
// Redis has the true one in between.
func TestGatedI17RedisClockIsBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair(func(c *Config) { c.Timeout = time.Second })
		p.a.link.Delay(200 * time.Millisecond)
		pass(p.a.cfg.MaxStale)
		now, truth := p.a.Now(), time.Now().UnixMilli()
		if early, late := p.a.RedisEarliest(now), p.a.RedisLatest(now); early > truth || late < truth {
			w.Errorf("Redis shows %d, A thinks %d to %d", truth, early, late)
		}
	})
}

// Fault 15. The machine was suspended, for which the wall clock runs ahead: the
// lease is dropped before anything else, and the next probe does not come through.
// A wall clock that is set back does nothing.
func TestGatedSuspensionDropsLease(t *testing.T) {
	inBubble(t, func(w *world) {
		var step atomic.Int64
		a := w.joinWithClock(func() time.Time { return time.Now().Add(time.Duration(step.Load())) })
		step.Store(-int64(time.Hour))
		pass(2 * a.cfg.Probe)
		wantState(w, a.Node, InStep)
		a.link.Hole()
		step.Store(0)
		pass(a.cfg.Probe)
		wantState(w, a.Node, Adrift)
	})
}

// A thousand writers wait for a node to be in step, and each of them wakes the prober.
// Redis is loading its data: it is asked a few times for each Probe, no more.
func TestGatedRefusalIsNotHurried(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		w.redis.SetError("LOADING Redis is loading the dataset in memory")
		pass(2 * DefaultMaxStale)
		before := m.Stats().ProbeFailures
		var waiting sync.WaitGroup
		for range 1000 {
			waiting.Go(func() { _ = m.Settle(w.Context()) })
			pass(time.Millisecond)
		}
		waiting.Wait()
		most := uint64(rest * (time.Second + DefaultTimeout) / DefaultProbe)
		if failed := m.Stats().ProbeFailures - before; failed < 2 || failed > most {
			w.Errorf("%d probes failed in %v, want 2 to %d", failed, time.Second+DefaultTimeout, most)
		}
		w.redis.SetError("")
		pass(2 * DefaultProbe)
		wantState(w, m.Node, InStep)
	})
}

// The ring holds a newer entry than the bus counts, which somebody else must have put
// there. No probe can tell what that means, and none follows the other at once.
func TestGatedUnclearBusIsNotHurried(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		w.rules.unpublished.Store(true)
		at, _ := p.a.history.position()
		w.announce(p.bs, "key")
		slot := strconv.FormatUint((at.n+1)%ring, 10)
		if err := w.admin().HSet(w.Context(), busKey, slot, strconv.FormatUint(at.n+1+ring, 10)+"|other|nonce|").Err(); err != nil {
			w.Fatal(err)
		}
		const enough = 1000
		var asked atomic.Int64
		w.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
			if cmd != "HMGET" || asked.Add(1) < enough {
				return false
			}
			c.WriteError("ERR enough") // or no time would pass
			return true
		})
		pass(time.Second)
		if n := asked.Load(); n < 2 || n >= enough {
			w.Errorf("Redis was asked %d times in a second", n)
		}
	})
}

// Entries reach A by the probe only, though its subscription answers: A makes a new
// one.
func TestGatedDeafSubscriptionIsRenewed(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		before := p.a.Stats()
		w.rules.unpublished.Store(true)
		w.announce(p.bs, "key")
		pass(5 * p.a.cfg.Probe)
		if now := p.a.Stats(); now.Deaf == before.Deaf || now.Subscribed == before.Subscribed {
			w.Errorf("before %+v, after %+v", before, now)
		}
	})
}
