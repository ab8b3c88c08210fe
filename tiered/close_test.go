package tiered_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// Every call after Close says so, and runs nothing.
func TestCallsAfterClose(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db, ctx := f.sites[0], newDatabase("k", "v"), t.Context()
		wantGet(t, c, "k", db, "v")
		for range 2 {
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		for _, key := range []string{"k", "l"} { // known once, and unknown
			_, get := c.Get(ctx, key, db.load)
			_, bypass := c.Get(ctx, key, db.load, tiered.Bypass())
			m, many := c.GetMany(ctx, []string{key}, db.loadAll)
			_, manyBypass := c.GetMany(ctx, []string{key}, db.loadAll, tiered.Bypass())
			_, peek := c.Peek(ctx, key)
			_, update := c.Update(ctx, key, db.writes("w"))
			for verb, err := range map[string]error{
				"Get": get, "Get with Bypass": bypass, "GetMany": many, "GetMany with Bypass": manyBypass,
				"Peek": peek, "Update": update, "Invalidate": c.Invalidate(ctx, key),
			} {
				wantError(t, verb, err, tiered.ErrClosed)
			}
			if len(m) != 0 {
				t.Errorf("GetMany = %v", m)
			}
		}
		wantStat(t, "Loads", c.Stats().Loads, 1)
		if db.row("k") != "v" {
			t.Error("a closed cache wrote")
		}
		// The name is free again.
		again := open(t, c.node, tiered.Config[string]{})
		wantGet(t, again, "k", db, "v")
		db.wantLoads(t, 1)
	})
}

// Close ends what waits, in whatever it waits for, and returns when nothing of it runs any more.
func TestCloseEndsCallsInFlight(t *testing.T) {
	cfg := tiered.Config[string]{SourceLimit: 3, WaitMax: time.Minute}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		c, other := f.sites[0], f.sites[1]
		running := make(chan struct{}, 10)
		hang := func(ctx context.Context, _ string) (string, error) {
			running <- struct{}{}
			<-ctx.Done()
			time.Sleep(time.Second) // and Close waits for it
			<-running
			return "", ctx.Err()
		}
		hangAll := func(ctx context.Context, keys []string) (map[string]string, error) {
			_, err := hang(ctx, keys[0])
			return nil, err
		}
		ctx, cancel := context.WithCancel(t.Context())
		elsewhere := start(func() (string, error) { return other.Get(ctx, "elsewhere", hang) })
		many := func(keys ...string) func() (string, error) {
			return func() (string, error) {
				_, err := c.GetMany(t.Context(), keys, hangAll)
				return "", err
			}
		}
		calls := []*pending{
			start(func() (string, error) { return c.Get(t.Context(), "k", hang) }),
			start(func() (string, error) { return c.Get(t.Context(), "k", hang) }), // joined
			start(func() (string, error) { return c.Get(t.Context(), "past", hang, tiered.Bypass()) }),
			start(func() (string, error) { return c.Get(t.Context(), "elsewhere", hang) }), // behind a lease
			start(many("l", "elsewhere", "k")),
			start(func() (string, error) { return c.Get(t.Context(), "queued", hang) }), // for the source
			start(many("m", "n")),
		}
		for i, p := range calls {
			if !p.running() {
				t.Fatalf("call %d returned: %v", i, p.err)
			}
		}
		began := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v, want that of the slowest loader", took)
		}
		for _, p := range calls {
			p.want(t, "", tiered.ErrClosed)
		}
		if len(running) != 1 {
			t.Errorf("%d loaders run, want only that of the other node", len(running))
		}
		for _, key := range []string{"k", "l", "m", "n", "queued"} {
			f.wantKind(t, key, 0)
		}
		cancel()
		elsewhere.wait(t)
	})
}

// An Update under way is finished: its source may have been written already.
func TestCloseWaitsForUpdate(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "old")
		p := start(func() (string, error) {
			return c.Update(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
				db.set(key, "new")
				return "new", sleep(ctx, 2*time.Second)
			})
		})
		began := time.Now()
		c.Close()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		p.want(t, "new", nil)
		wantGet(t, f.sites[1], "k", db, "new")
		db.wantLoads(t, 0)
	})
}

// A refresh in the background does not outlive the cache.
func TestCloseEndsRefreshes(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Hour}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		wantGet(t, c, "k", db, "v")
		time.Sleep(10 * time.Second)
		db.delays(time.Hour)
		wantGet(t, c, "k", db, "v")
		db.wantLoads(t, 2)
		began := time.Now()
		c.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if active, _ := db.running(); active != 0 {
			t.Error("the refresh still runs")
		}
	})
}

// Close under load: no panic, no deadlock, no goroutine left, and every call gets
// a value or ErrClosed. GetMany, which takes a seat for each key, must not strand
// those it has taken.
func TestCloseUnderLoad(t *testing.T) {
	for range 3 {
		bubble(t, 2, tiered.Config[string]{StaleTTL: time.Minute, TTL: 5 * ms}, func(t *testing.T, f *fleet) {
			c := f.sites[0]
			keys, db := numbered(20)
			var load sync.WaitGroup
			check := func(verb string, err error) bool {
				if err != nil && !errors.Is(err, tiered.ErrClosed) {
					t.Errorf("%s: %v", verb, err)
				}
				return err == nil
			}
			for i := range 2 {
				for verb, call := range map[string]func(n int) error{
					"Get":        func(n int) error { _, err := c.Get(t.Context(), keys[n], db.load); return err },
					"GetMany":    func(n int) error { _, err := c.GetMany(t.Context(), keys[:n+1], db.loadAll); return err },
					"Update":     func(n int) error { _, err := c.Update(t.Context(), keys[n], db.writes("w")); return err },
					"Invalidate": func(n int) error { return c.Invalidate(t.Context(), keys[n]) },
				} {
					load.Go(func() {
						for n := i; check(verb, call(n%len(keys))); n += 7 {
							time.Sleep(ms)
						}
					})
				}
			}
			time.Sleep(20 * ms)
			var closers sync.WaitGroup
			for range 3 {
				closers.Go(func() { c.Close() })
			}
			closers.Wait()
			load.Wait()
		})
	}
}

// Caches of one node are strangers: same ids, other records. A name is open once.
func TestTwoCachesOnOneNode(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b := f.sites[0], f.sites[1]
		if c, err := tiered.New(a.node, tiered.Config[int]{Name: cacheName}); c != nil || err == nil {
			t.Error("one name was opened twice")
		} else {
			wantWords(t, "New", err, `"c"`, "open already")
		}
		numbers := open(t, a.node, tiered.Config[int]{Name: "numbers"})
		elsewhere := open(t, b.node, tiered.Config[int]{Name: "numbers"})
		db, loads := newDatabase("k", "v"), 0
		load := func(context.Context, string) (int, error) { loads++; return loads, nil }
		get := func(c *tiered.Cache[int], want int) {
			t.Helper()
			if n, err := c.Get(t.Context(), "k", load); n != want || err != nil {
				t.Errorf("Get = %d, %v, want %d", n, err, want)
			}
			settle()
		}
		wantGet(t, a, "k", db, "v")
		get(numbers, 1)
		get(elsewhere, 1)
		invalidate(t, a, "k")
		get(numbers, 1)
		invalidate(t, b, "k")
		get(elsewhere, 1)
		if err := elsewhere.Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		settle()
		get(numbers, 2)
		numbers.Close()
		wantGet(t, a, "k", db, "v")
		wantGet(t, a, "k", db, "v")
		db.wantLoads(t, 2) // the second one after its own invalidation
	})
}

// The order is cache, then node. The other one must do no harm: reads still come
// from the source, writes are refused.
func TestNodeClosedFirst(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		wantGet(t, c, "k", db, "v")
		if err := c.node.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * bound)
		for i := range 3 {
			db.set("k", strconv.Itoa(i))
			wantGet(t, c, "k", db, strconv.Itoa(i))
			time.Sleep(2 * bound)
		}
		_, err := c.Update(t.Context(), "k", db.writes("w"))
		wantError(t, "Update", err, tiered.ErrNotWritten)
		wantError(t, "Update", err, coherence.ErrClosed)
		wantError(t, "Invalidate", c.Invalidate(t.Context(), "k"), tiered.ErrClosed)
		if c, err := tiered.New(c.node, tiered.Config[string]{Name: "late"}); c != nil || !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("New on a closed node: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
