package tiered_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Peek shows what is there and causes no load, whatever is there.
func TestPeek(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{TTL: 10 * time.Second, StaleTTL: time.Minute}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v", "fenced", "x", "leased", "y")
		peek := func(c *site, key, want string, wantErr error) {
			t.Helper()
			if v, err := c.Peek(t.Context(), key); v != want || !errors.Is(err, wantErr) {
				t.Errorf("Peek(%q) = %q, %v, want %q, %v", key, v, err, want, wantErr)
			}
			settle()
		}
		peek(a, "k", "", tiered.ErrMiss)
		f.wantKind(t, "k", 0)
		wantGet(t, a, "k", db, "v")
		wantGetError(t, a, "none", db, tiered.ErrNotFound)
		for _, c := range []*site{a, b, b} { // local, from Redis, and local from then on
			peek(c, "k", "v", nil)
			peek(c, "none", "", tiered.ErrNotFound)
		}
		wantStat(t, "RemoteHits", b.Stats().RemoteHits, 2)
		wantStat(t, "LocalHits", b.Stats().LocalHits, 2)

		db.delays(time.Second)
		loading := start(func() (string, error) { return a.Get(t.Context(), "leased", db.load) })
		peek(b, "leased", "", tiered.ErrMiss)
		loading.want(t, "y", nil)
		a.Update(t.Context(), "fenced", func(context.Context, string) (string, error) { return "", errors.New("in doubt") })
		peek(b, "fenced", "", tiered.ErrMiss)
		db.wantLoads(t, 3)

		time.Sleep(10 * time.Second) // stale may be served; Peek has nothing to refresh it with
		peek(a, "k", "v", nil)
		peek(b, "k", "v", nil)
		time.Sleep(time.Minute)
		peek(a, "k", "", tiered.ErrMiss)
		db.wantLoads(t, 0)

		f.Crash()
		time.Sleep(2 * bound)
		peek(a, "k", "", tiered.ErrMiss)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("gone"))
		_, err := a.Peek(ctx, "k")
		wantError(t, "Peek with a cancelled context", err, context.Cause(ctx))
	})
}

// Bypass reads the source at the moment when the exact value matters, and leaves
// no trace: nothing is looked up, stored or shared.
func TestBypass(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "old", "l", "1")
		wantGet(t, c, "k", db, "old")
		db.set("k", "new")
		db.delays(time.Second)
		c.sent.reset()
		var calls []*pending
		for range 3 {
			calls = append(calls, start(func() (string, error) { return c.Get(t.Context(), "k", db.load, tiered.Bypass()) }))
		}
		for _, p := range calls {
			p.want(t, "new", nil)
		}
		db.delays(0)
		wantMany(t, c, []string{"k", "l", "none"}, db, map[string]string{"k": "new", "l": "1"}, tiered.Bypass())
		db.wantLoads(t, 5)
		if sent, pipes := c.sent.reset(); len(sent)+len(pipes) != 0 {
			t.Errorf("Bypass asked Redis: %q, %q", sent, pipes)
		}
		wantStat(t, "Bypassed", c.Stats().Bypassed, 6)
		wantGet(t, c, "k", db, "old")
		_, err := c.Peek(t.Context(), "l")
		wantError(t, "Peek", err, tiered.ErrMiss)
	})
}

// Without Clone a value is shared; with it nobody can spoil the copy of the others.
func TestClone(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		var clones atomic.Int32
		c := open(t, f.sites[0].node, tiered.Config[[]int]{Name: "lists", Clone: func(v []int) []int { clones.Add(1); return slices.Clone(v) }})
		load := func(context.Context, string) ([]int, error) { return []int{1, 2, 3}, nil }
		spoil := func(verb string, v []int, err error) {
			t.Helper()
			if err != nil || len(v) == 0 || v[0] == 0 {
				t.Fatalf("%s = %v, %v", verb, v, err)
			}
			clear(v)
			settle()
		}
		for range 3 {
			v, err := c.Get(t.Context(), "k", load)
			spoil("Get", v, err)
		}
		v, err := c.Peek(t.Context(), "k")
		spoil("Peek", v, err)
		m, err := c.GetMany(t.Context(), []string{"k"}, func(context.Context, []string) (map[string][]int, error) { return nil, nil })
		spoil("GetMany", m["k"], err)
		v, err = c.Update(t.Context(), "k", func(context.Context, string) ([]int, error) { return []int{4}, nil })
		spoil("Update", v, err)
		if v, err = c.Peek(t.Context(), "k"); err != nil || !slices.Equal(v, []int{4}) {
			t.Errorf("Peek after the caller spoilt what Update returned = %v, %v", v, err)
		}
		if n := clones.Load(); n != 9 {
			t.Errorf("%d clones, want those of 7 values handed out and 2 taken in", n)
		}

		// Readers of one flight get a copy each.
		slow := func(ctx context.Context, _ string) ([]int, error) { return []int{5}, sleep(ctx, time.Second) }
		got := make(chan []int, 2)
		for range 2 {
			go func() {
				v, _ := c.Get(t.Context(), "shared", slow)
				got <- v
			}()
		}
		one, two := <-got, <-got
		if one[0] = 0; two[0] != 5 {
			t.Error("two readers share one slice")
		}
		wantStat(t, "Loads", c.Stats().Loads, 2)
	})
}

// A collision of ids and options: the last of several options of one kind counts.
func TestOptionsCombine(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v")
		wantGet(t, c, "k", db, "v", tiered.WithTTL(time.Hour), tiered.WithStaleTTL(time.Second), tiered.WithTTL(time.Minute))
		if got := f.TTL(prefix + "k"); got != 61*time.Second {
			t.Errorf("the value lives %v", got)
		}
		wantGet(t, c, "k", db, "v", tiered.Option{}) // the zero Option changes nothing
		db.wantLoads(t, 1)
	})
}

// The keys of two caches, and ids of any bytes, never meet in Redis.
func TestKeysInRedis(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase()
		ids := []string{"a", "a:b", "{a}", "a b", "\x00\xff", "~r:x", "ключ", "*", "%"}
		want := map[string]string{}
		for _, id := range ids {
			db.set(id, "v"+id)
			want[id] = "v" + id
			wantGet(t, f.sites[0], id, db, "v"+id)
			if !f.Exists(prefix + id) {
				t.Errorf("no key %q in Redis", prefix+id)
			}
		}
		wantMany(t, f.sites[1], ids, db, want)
		db.wantLoads(t, len(ids))
		invalidate(t, f.sites[0], ids...)
		wantMany(t, f.sites[1], slices.Collect(maps.Keys(want)), db, want)
		db.wantLoads(t, 1)
	})
}
