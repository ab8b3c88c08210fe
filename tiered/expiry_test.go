package tiered_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

const ms = time.Millisecond

// A value is served until its TTL, in both tiers, and not a millisecond longer.
func TestTTL(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  tiered.Config[string]
		opts []tiered.Option
		ttl  time.Duration
	}{
		"of the cache":         {tiered.Config[string]{TTL: 10 * time.Second}, nil, 10 * time.Second},
		"of the call":          {tiered.Config[string]{TTL: time.Hour}, []tiered.Option{tiered.WithTTL(3 * time.Second)}, 3 * time.Second},
		"default":              {tiered.Config[string]{}, nil, tiered.DefaultTTL},
		"of a call, too short": {tiered.Config[string]{}, []tiered.Option{tiered.WithTTL(-time.Hour), tiered.WithStaleTTL(-time.Hour)}, ms},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, test.cfg, func(t *testing.T, f *fleet) {
				a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
				wantGet(t, a, "k", db, "old", test.opts...)
				if got := f.TTL(prefix + "k"); got != test.ttl {
					t.Errorf("Redis keeps the value for %v, want %v", got, test.ttl)
				}
				db.set("k", "new")
				time.Sleep(test.ttl - ms)
				if test.ttl > ms {
					wantGet(t, a, "k", db, "old")
					wantGet(t, b, "k", db, "old")
				}
				time.Sleep(ms)
				wantGet(t, a, "k", db, "new")
				wantGet(t, b, "k", db, "new")
				db.wantLoads(t, 2)
			})
		})
	}
}

// Values loaded together do not expire together.
func TestJitterBounds(t *testing.T) {
	const ttl, n = 1000 * time.Second, 150
	for name, test := range map[string]struct{ jitter, share float64 }{
		"default": {0, tiered.DefaultJitter}, "half": {0.5, 0.5}, "all": {1, 1}, "none": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				c, err := tiered.New(f.sites[0].node, tiered.Config[string]{Name: "spread", TTL: ttl, NotFoundTTL: ttl, Jitter: test.jitter})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				least, most := ttl, time.Duration(0)
				for i := range n {
					key, db := strconv.Itoa(i), newDatabase()
					if i%2 == 0 { // of what does not exist, too
						db.set(key, "v")
					}
					c.Get(t.Context(), key, db.load)
					left := f.TTL(fleetName + ":spread:" + key)
					least, most = min(least, left), max(most, left)
				}
				floor := ttl - time.Duration(test.share*float64(ttl))
				if least < floor || most > ttl {
					t.Errorf("lives from %v to %v, want within %v to %v", least, most, floor, ttl)
				}
				if spread := most - least; spread < (ttl-floor)*8/10 {
					t.Errorf("lives from %v to %v are not spread", least, most)
				}
			})
		})
	}
}

// A local copy may be given a shorter life than the record in Redis, never a longer one.
func TestLocalTTL(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{TTL: time.Minute, LocalTTL: 5 * time.Second}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		wantGet(t, c, "k", db, "v")
		time.Sleep(5*time.Second - ms)
		wantGet(t, c, "k", db, "v")
		wantStat(t, "RemoteHits", c.Stats().RemoteHits, 0)
		time.Sleep(ms)
		wantGet(t, c, "k", db, "v")
		wantStat(t, "RemoteHits", c.Stats().RemoteHits, 1)
		db.wantLoads(t, 1)
	})
	bubble(t, 1, tiered.Config[string]{TTL: 2 * time.Second, LocalTTL: time.Minute}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "old")
		wantGet(t, c, "k", db, "old")
		db.set("k", "new")
		time.Sleep(2 * time.Second)
		wantGet(t, c, "k", db, "new")
	})
}

// What is loaded while Redis is away lives no longer than other values do.
func TestWeakCopiesKeepTheTTL(t *testing.T) {
	for name, cfg := range map[string]tiered.Config[string]{
		"TTL":      {TTL: 100 * ms},
		"LocalTTL": {LocalTTL: 100 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, cfg, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase("k", "old")
				f.Crash()
				time.Sleep(2 * bound)
				wantGet(t, c, "k", db, "old")
				db.set("k", "new")
				time.Sleep(100*ms - 1)
				wantGet(t, c, "k", db, "old")
				time.Sleep(ms)
				wantGet(t, c, "k", db, "new")
			})
		})
	}
}

// The textbook: soft and hard TTL are two keys, and every reader of every process
// starts a refresh. Here one process of the fleet does, once an expiry.
func TestStaleWhileRevalidate(t *testing.T) {
	bubble(t, 3, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Minute}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "0")
		db.delays(500 * ms)
		for _, s := range f.sites {
			wantGet(t, s, "k", db, "0")
		}
		db.wantLoads(t, 1)
		for round := range 5 {
			old, fresh := strconv.Itoa(round), strconv.Itoa(round+1)
			db.set("k", fresh)
			time.Sleep(10 * time.Second) // from the load of each round on: the last one has just expired
			for range 20 {
				for _, s := range f.sites {
					p := start(func() (string, error) { return s.Get(t.Context(), "k", db.load) })
					if p.want(t, old, nil); p.took != 0 {
						t.Errorf("a reader waited %v for a refresh", p.took)
					}
				}
			}
			time.Sleep(time.Second)
			for _, s := range f.sites {
				s.Get(t.Context(), "k", db.load) // may still be the stale copy: it looks into Redis behind it
			}
			time.Sleep(time.Second)
			for _, s := range f.sites {
				wantGet(t, s, "k", db, fresh)
			}
			db.wantLoads(t, 1)
		}
		var refreshes, stale uint64
		for _, s := range f.sites {
			refreshes += s.Stats().Refreshes
			stale += s.Stats().StaleServed
		}
		wantStat(t, "Refreshes of all", refreshes, 5)
		if stale < 5*60 {
			t.Errorf("StaleServed = %d, want at least the 300 stale reads", stale)
		}
		f.wantKeysExpire(t)
	})
}

// A failing source does not take an expired value away before its hard expiry, and
// is not asked by every reader. After it there is nothing to serve.
func TestStaleIfError(t *testing.T) {
	cfg := tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: 20 * time.Second, LeaseTTL: 2 * time.Second}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		a, b, db, down := f.sites[0], f.sites[1], newDatabase("k", "v"), errors.New("down")
		wantGet(t, a, "k", db, "v")
		db.fails(down)
		time.Sleep(10 * time.Second)
		db.wantLoads(t, 1)
		for range 199 { // of 20 s
			wantGet(t, a, "k", db, "v")
			wantGet(t, b, "k", db, "v")
			time.Sleep(100 * ms)
		}
		db.mu.Lock()
		if loads := db.loads; loads < 5 || loads > 11 {
			t.Errorf("a failing source was asked %d times in 20s, want about once per LeaseTTL", loads)
		}
		db.mu.Unlock()
		time.Sleep(100 * ms)
		wantGetError(t, a, "k", db, down)
		wantGetError(t, b, "k", db, down)
		db.fails(nil)
		wantGet(t, b, "k", db, "v")
	})
}

// The window of WithStaleTTL counts like that of the cache.
func TestWithStaleTTL(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{TTL: 10 * time.Second}, func(t *testing.T, f *fleet) {
		c, db, down := f.sites[0], newDatabase("k", "v", "l", "v"), errors.New("down")
		wantGet(t, c, "k", db, "v", tiered.WithStaleTTL(5*time.Second))
		wantGet(t, c, "l", db, "v")
		db.fails(down)
		time.Sleep(15*time.Second - ms)
		wantGet(t, c, "k", db, "v")
		wantGetError(t, c, "l", db, down)
		time.Sleep(ms)
		wantGetError(t, c, "k", db, down)
	})
}

// Stale serving is for what expired, never for what was invalidated.
func TestInvalidatedIsNeverServedStale(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Hour}, func(t *testing.T, f *fleet) {
		a, b, db, down := f.sites[0], f.sites[1], newDatabase("k", "old"), errors.New("down")
		wantGet(t, a, "k", db, "old")
		wantGet(t, b, "k", db, "old")
		time.Sleep(11 * time.Second)
		db.fails(down)
		wantGet(t, a, "k", db, "old") // expired: a failing source does no harm
		if err := a.Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		settle()
		wantGetError(t, a, "k", db, down)
		wantGetError(t, b, "k", db, down)
	})
}

// An invalidation during a refresh wins: what the refresh loaded is older.
func TestInvalidateDuringRefresh(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Hour}, func(t *testing.T, f *fleet) {
		a, db := f.sites[0], newDatabase("k", "old")
		db.delays(time.Second)
		wantGet(t, a, "k", db, "old")
		time.Sleep(10 * time.Second)
		wantGet(t, a, "k", db, "old") // starts a refresh
		db.set("k", "new")
		if err := f.sites[1].Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		f.wantKind(t, "k", 0)
		wantStat(t, "Refreshes", a.Stats().Refreshes, 0)
		wantGet(t, a, "k", db, "new")
	})
}

// A record that was deleted in the source becomes "not found" by its refresh.
func TestRefreshFindsNothing(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Hour}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		wantGet(t, c, "k", db, "v")
		db.set("k", "")
		time.Sleep(10 * time.Second)
		wantGet(t, c, "k", db, "v")
		wantGetError(t, c, "k", db, tiered.ErrNotFound)
	})
}

// A loader that panics in the background must not kill the process.
func TestRefreshPanics(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Minute}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		wantGet(t, c, "k", db, "v")
		time.Sleep(10 * time.Second)
		v, err := c.Get(t.Context(), "k", func(context.Context, string) (string, error) { panic("boom") })
		if v != "v" || err != nil {
			t.Errorf("Get = %q, %v", v, err)
		}
		time.Sleep(5 * time.Second)
		wantStat(t, "LoadErrors", c.Stats().LoadErrors, 1)
		wantGet(t, c, "k", db, "v") // refreshes
		wantStat(t, "Refreshes", c.Stats().Refreshes, 1)
	})
}

// XFetch: a value that is expensive to load is refreshed before it expires, so
// that nobody ever waits for it; a cheap one is not.
func TestEarlyRefresh(t *testing.T) {
	const ttl, rounds = 20 * time.Second, 1500
	read := func(t *testing.T, delay time.Duration) (waits int, s tiered.Stats) {
		bubble(t, 1, tiered.Config[string]{TTL: ttl}, func(t *testing.T, f *fleet) {
			c, db := f.sites[0], newDatabase("k", "v")
			db.delays(delay)
			wantGet(t, c, "k", db, "v")
			for range rounds {
				time.Sleep(ttl / 40)
				p := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
				if p.want(t, "v", nil); p.took > 0 {
					waits++
				}
			}
			s = c.Stats()
		})
		return waits, s
	}
	waits, s := read(t, 1900*ms)
	if s.Refreshes <= uint64(waits) { // a refresh that starts less than a load's time before expiry comes late
		t.Errorf("an expensive value: %d refreshes, %d readers waited", s.Refreshes, waits)
	}
	wantStat(t, "StaleServed", s.StaleServed, 0)
	_, s = read(t, ms)
	wantStat(t, "Refreshes of a cheap value", s.Refreshes, 0)
}

// Longer than any program runs is a common way to say "for ever".
func TestEndlessTTL(t *testing.T) {
	const forever = 1<<63 - 1
	for name, opts := range map[string][]tiered.Option{
		"cache": nil,
		"call":  {tiered.WithTTL(forever), tiered.WithStaleTTL(forever)},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tiered.Config[string]{}
			if opts == nil {
				cfg.TTL, cfg.StaleTTL, cfg.NotFoundTTL = forever, forever, forever
			}
			bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
				db := newDatabase("k", "v")
				for range 2 {
					for _, s := range f.sites {
						wantGet(t, s, "k", db, "v", opts...)
					}
					time.Sleep(time.Minute)
				}
				db.wantLoads(t, 1)
				wantStat(t, "StaleServed", f.sites[0].Stats().StaleServed, 0)
			})
		})
	}
}
