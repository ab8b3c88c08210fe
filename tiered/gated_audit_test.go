package tiered

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// findings collects what an auditor tells.
type findings struct {
	mu  sync.Mutex
	all []Finding
}

func (f *findings) add(one Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, one)
}

func (f *findings) told() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// audited makes a cache check every hit.
func (f *findings) audited(c *Config[int]) {
	c.Audit = Audit[int]{Sample: 1, Rate: 1e6, Pending: 1e6, OnFinding: f.add}
}

// wantOutcomes checks what has been counted against Redis.
func (a *actor) wantOutcomes(want map[AuditOutcome]uint64) {
	a.Helper()
	wantChecks(a.T, a.cache.Stats().Audit.Redis, want)
}

func wantChecks(t *testing.T, c AuditChecks, want map[AuditOutcome]uint64) {
	t.Helper()
	for o := range AuditOutcome(auditOutcomes) {
		if got := c.Outcomes[o]; got != want[o] {
			t.Errorf("%d checks are %v, want %d", got, o, want[o])
		}
	}
	if c.Pending != 0 {
		t.Errorf("%d checks are pending", c.Pending)
	}
}

// mute keeps announcements from being delivered: the probe will find them.
func (s *stage) mute() {
	s.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
		if cmd == "PUBLISH" {
			c.WriteInt(0)
		}
		return cmd == "PUBLISH"
	})
}

// freeze makes Redis deliver no announcements and answer every probe as it would
// answer it now: the nodes take themselves for in step. A proxy with a cache of
// its own might do that.
func (s *stage) freeze() {
	n, c, e := s.redis.HGet("{f}:bus", "n"), s.redis.HGet("{f}:bus", "c"), s.redis.HGet("{f}:bus", "e")
	s.redis.Intercept(func(p *server.Peer, cmd string, args ...string) bool {
		switch {
		case cmd == "PUBLISH":
			p.WriteInt(0)
		case cmd == "HMGET" && slices.Equal(args[1:], []string{"n", "c", "e", "v"}):
			p.WriteStrings([]string{n, c, e, ""})
		default:
			return false
		}
		return true
	})
}

// known lets the auditors of copies that were read by now notice where the bus
// ends. It ends between two probes: one at the very instant of the next announcement
// might find it.
func (s *stage) known() { time.Sleep(bound + bound/20) }

// A holds a copy; B updates; A has not heard of it yet and serves the copy, as it
// may. The auditor sees that it differs and that this was announced; it waits
// until nobody may serve the copy, and nobody does.
func TestGatedAuditWaitsForTheBound(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a, b := s.join(f.audited), s.join()
		a.want(1, "first load")
		s.known()
		s.mute()
		b.update(2)
		a.want(1, "not heard of the update")
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditSettled: 1})
	})
}

// The key is announced, and then A loads it. Somebody changes the source past the
// caches, and B loads that: the announcement of before A's load is no proof that
// A's copy is void.
func TestGatedAuditCountsLaterAnnouncements(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a, b := s.join(f.audited), s.join()
		s.known()
		b.change(2)
		s.known()
		a.want(2, "loads what was announced")
		s.known()
		s.changeBehind(b, 3)
		a.want(2, "nobody told")
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditUnannounced: 1})
		if got := f.told()[0]; got.Outcome != AuditUnannounced || got.Key != key || got.Cache != "p" || got.Against != "redis" ||
			got.Late < bound || got.Age < 2*bound {
			s.Errorf("finding %+v", got)
		}
	})
}

// changeBehind changes the source past the caches, and makes a load it.
func (s *stage) changeBehind(a *actor, v int) {
	s.source.set(v)
	s.redis.Del("f:p:" + key)
	a.want(v, "loads what was changed")
}

// The record in Redis is replaced and comes back: what differs for a moment is no
// finding.
func TestGatedAuditLooksTwice(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a, b := s.join(f.audited), s.join()
		a.want(1, "first load")
		record, _ := s.redis.Get("f:p:" + key)
		s.changeBehind(b, 2)
		a.want(1, "nobody told")
		_ = s.redis.Set("f:p:"+key, record)
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditReverted: 1})
	})
}

// Announcements are lost, and the probe does not notice, for whatever reason: A
// serves what B has replaced. The auditor reads the bus itself.
func TestGatedAuditFindsLostAnnouncement(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a, b := s.join(f.audited), s.join()
		a.want(1, "first load")
		s.known()
		s.freeze()
		b.update(2)
		s.outlast()
		a.want(1, "the promise is broken")
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditStale: 1})
		if got := f.told()[0]; got.Outcome != AuditStale || got.Late < bound || got.Late > bound+time.Second {
			s.Errorf("finding %+v", got)
		}
	})
}

// A keeps a copy of before the update under the generation of after it, as it
// would with a generation that is taken too late.
func TestGatedAuditFindsForgedGeneration(t *testing.T) {
	gated(t, func(s *stage) {
		var f findings
		a, b := s.join(f.audited), s.join()
		a.want(1, "first load")
		hash := a.cache.space.Hash(key)
		old := *a.cache.local.get(hash, key)
		s.known()
		b.update(2)
		s.outlast()
		old.gen = a.cache.space.Generation(hash)
		a.cache.local.set(hash, &old, 1)
		s.settle()
		a.want(1, "the promise is broken")
		s.outlast()
		a.wantOutcomes(map[AuditOutcome]uint64{AuditStale: 1})
	})
}

// Updates, deletions, invalidations, expiries, refreshes, lost announcements, resets
// and losses of history, with every hit audited: nothing is found, and much is
// checked. Everything takes its time, so that all of it overlaps.
func TestGatedAuditFindsNothing(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { auditWeather(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func auditWeather(t *testing.T, r *rand.Rand) {
	gated(t, func(s *stage) {
		var f findings
		var actors []*actor
		for range 3 {
			a := s.join(f.audited, func(c *Config[int]) {
				c.TTL, c.StaleTTL, c.NotFoundTTL = 3*time.Second, time.Second, 500*time.Millisecond
				c.Audit.Source, c.Audit.SourceLag = 0.2, time.Second
			})
			a.link.Delay(3 * time.Millisecond) // a write may come between a hit and its check
			actors = append(actors, a)
		}
		old := s.redis.Snapshot()
		for step := range 6000 {
			a := actors[r.IntN(len(actors))]
			slow := time.Duration(r.IntN(int(20 * time.Millisecond)))
			switch dice := r.IntN(400); {
			case dice < 8:
				go a.tryWrite(dice, step, slow)
			case dice == 8:
				a.link.Reset()
			case dice == 9:
				old = s.redis.Snapshot()
			case dice == 10:
				s.mute()
			case dice == 11:
				s.redis.Intercept(nil)
			case dice == 12:
				if err := s.redis.Restore(old); err != nil {
					s.Fatal(err)
				}
				s.outlast()
			default:
				go a.cache.Get(context.Background(), key, func(ctx context.Context, k string) (int, error) {
					defer time.Sleep(slow)
					return a.source.load(ctx, k)
				})
			}
			time.Sleep(time.Duration(r.IntN(int(10 * time.Millisecond))))
		}
		time.Sleep(time.Minute)
		s.wantNothingFound(actors, f.told())
	})
}

func (s *stage) wantNothingFound(actors []*actor, found []Finding) {
	s.Helper()
	for _, one := range found {
		s.Errorf("finding: %v", one)
	}
	var sum AuditStats
	for _, a := range actors {
		sum = sum.Merge(a.cache.Stats().Audit)
	}
	if c := sum.Redis; c.Outcomes[AuditFresh] < 1000 || c.Outcomes[AuditSettled] == 0 || c.Inconclusive() == 0 {
		s.Errorf("too little was checked: %v %v", c, c.Outcomes)
	}
	if c := sum.Source; c.Outcomes[AuditFresh] < 100 || c.Outcomes[AuditSettled] == 0 {
		s.Errorf("too little was checked: %v %v", c, c.Outcomes)
	}
}

// tryWrite updates, deletes, or invalidates; that may fail in such weather.
func (a *actor) tryWrite(dice, v int, slow time.Duration) {
	if dice < 2 {
		a.source.set(v)
		_ = a.cache.Invalidate(context.Background(), key)
		return
	}
	_, _ = a.cache.Update(context.Background(), key, func(context.Context, string) (int, error) {
		time.Sleep(slow)
		if dice < 4 {
			a.source.remove()
			return 0, ErrNotFound
		}
		a.source.set(v)
		return v, nil
	})
}

func (r *register) remove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.values, key)
}
