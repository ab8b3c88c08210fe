package tiered_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// A service starts while Redis is down, works from the source, and joins later.
func TestRedisDownAtStart(t *testing.T) {
	bubble(t, 0, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		f.Crash()
		c, db := f.add(t, tiered.Config[string]{}), newDatabase("k", "old")
		if got := c.node.State(); got != coherence.Joining {
			t.Errorf("State = %v", got)
		}
		wantGet(t, c, "k", db, "old")
		wantGet(t, c, "k", db, "old")
		db.wantLoads(t, 1) // a copy of at most MaxStale
		wantStat(t, "WeakLoads", c.Stats().WeakLoads, 1)
		if _, err := c.Update(t.Context(), "k", db.writes("new")); !errors.Is(err, tiered.ErrNotWritten) {
			t.Errorf("Update: error %v", err)
		}
		_, err := c.Peek(t.Context(), "l")
		wantError(t, "Peek", err, tiered.ErrMiss)

		if err := f.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := c.node.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantGet(t, c, "k", db, "old")
		f.wantKind(t, "k", 'V')
		update(t, c, "k", db, "new")
		wantGet(t, c, "k", db, "new")
	})
}

// While Redis is away copies live for MaxStale, reads cost one load each MaxStale
// and no timeout, and nothing is an error.
func TestRedisDownDuring(t *testing.T) {
	for name, cut := range map[string]func(s *site){
		"refused": func(s *site) { s.link.Cut() },
		"silent":  func(s *site) { s.link.Hole() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase("k", "0")
				wantGet(t, c, "k", db, "0")
				db.wantLoads(t, 1)
				cut(c)
				time.Sleep(bound + ms)
				if got := c.node.State(); got != coherence.Adrift {
					t.Errorf("State = %v", got)
				}
				for round := range 5 {
					db.set("k", strconv.Itoa(round))
					for range 20 {
						p := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
						if p.want(t, strconv.Itoa(round), nil); p.took != 0 {
							t.Errorf("a read took %v: the node asked a Redis that is away", p.took)
						}
						time.Sleep(bound / 20)
					}
					time.Sleep(ms)
				}
				db.wantLoads(t, 5)
				wantStat(t, "WeakLoads", c.Stats().WeakLoads, 5)

				// The others go on, and the fleet is told of nothing that it cannot know.
				wantGet(t, f.sites[1], "k", db, "0")
				db.set("k", "after")
				invalidate(t, f.sites[1], "k")
				c.link.Heal()
				time.Sleep(bound)
				wantGet(t, c, "k", db, "after")
				wantGet(t, f.sites[1], "k", db, "after")
				db.wantLoads(t, 1)
			})
		})
	}
}

// What is read while Redis is away may be older than a write whose announcement
// this node has applied already: it must not live on when Redis is back.
func TestWeakCopiesEndWithTheOutage(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "old")
		f.Crash()
		time.Sleep(2 * bound)
		wantGet(t, c, "k", db, "old")
		if err := f.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := c.node.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		db.set("k", "new")
		time.Sleep(bound + ms)
		wantGet(t, c, "k", db, "new")
		f.wantKind(t, "k", 'V')
	})
}

// A Redis that comes back on old data, or without any, must not bring an old value back.
func TestRedisComesBackOld(t *testing.T) {
	for name, restart := range map[string]func(f *fleet, old func() error) error{
		"on a snapshot":  func(_ *fleet, old func() error) error { return old() },
		"empty":          func(f *fleet, _ func() error) error { return f.RestartEmpty() },
		"with its data":  func(f *fleet, _ func() error) error { return f.Restart() },
		"flushed, alive": func(f *fleet, _ func() error) error { f.FlushAll(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
				wantGet(t, a, "k", db, "old")
				snapshot := f.Snapshot()
				update(t, a, "k", db, "new")
				settle()
				wantGet(t, b, "k", db, "new")
				if err := restart(f, func() error { return f.Restore(snapshot) }); err != nil {
					t.Fatal(err)
				}
				for range 40 {
					wantGet(t, a, "k", db, "new")
					wantGet(t, b, "k", db, "new")
					time.Sleep(bound / 10)
				}
				if a.node.State() != coherence.InStep || b.node.State() != coherence.InStep {
					t.Errorf("states %v, %v", a.node.State(), b.node.State())
				}
				update(t, b, "k", db, "newer")
				settle()
				wantGet(t, a, "k", db, "newer")
				f.wantKind(t, "k", 'V')
			})
		})
	}
}

// Whatever happened, nothing stays in Redis for good but the bus.
func TestNoResidue(t *testing.T) {
	cfg := tiered.Config[string]{TTL: 20 * time.Second, StaleTTL: 20 * time.Second}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v", "l", "w")
		a.link.HoleReplies() // every call of a is executed and looks lost to it
		for _, key := range []string{"k", "l", "none"} {
			start(func() (string, error) { return a.Get(t.Context(), key, db.load) }).wait(t)
			start(func() (string, error) { return a.Update(t.Context(), key, db.writes("x")) }).wait(t)
		}
		f.wantKeysExpire(t)
		a.link.Heal()
		time.Sleep(bound)
		for _, s := range []*site{a, b} {
			s.Get(t.Context(), "k", db.load)
			s.GetMany(t.Context(), []string{"k", "l", "none"}, db.loadAll)
		}
		time.Sleep(20 * time.Second)
		a.Get(t.Context(), "k", db.load) // stale: a refresh lock
		settle()
		f.wantKeysExpire(t)
		time.Sleep(time.Minute)
		for _, key := range f.Keys() {
			if key != "{"+fleetName+"}:bus" {
				t.Errorf("%q is left", key)
			}
		}
	})
}
