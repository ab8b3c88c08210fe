package tiered_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered"
)

// invalidate invalidates keys and waits until all nodes have heard of it.
func invalidate(t *testing.T, c interface {
	Invalidate(context.Context, ...string) error
}, keys ...string) {
	t.Helper()
	if err := c.Invalidate(t.Context(), keys...); err != nil {
		t.Fatalf("Invalidate(%q): %v", keys, err)
	}
	settle()
}

// The textbook: a DEL in Redis leaves the copies in the memory of the processes.
func TestInvalidateReachesEveryNode(t *testing.T) {
	bubble(t, 3, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "old", "l", "kept")
		for _, s := range f.sites {
			wantGet(t, s, "k", db, "old")
			wantGet(t, s, "l", db, "kept")
		}
		db.set("k", "new")
		db.wantLoads(t, 2)
		invalidate(t, f.sites[0], "k")
		for _, s := range f.sites {
			wantGet(t, s, "k", db, "new")
			wantGet(t, s, "l", db, "kept")
		}
		db.wantLoads(t, 1)
		wantStat(t, "Invalidated", f.sites[0].Stats().Invalidated, 1)
	})
}

// A node that hears nothing serves the old value no longer than MaxStale.
func TestInvalidateBehindABrokenLink(t *testing.T) {
	for name, cut := range map[string]func(s *site){
		"reset": func(s *site) { s.link.Cut() },
		"hole":  func(s *site) { s.link.Hole() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
				wantGet(t, b, "k", db, "old")
				cut(b)
				db.set("k", "new")
				invalidate(t, a, "k")
				time.Sleep(bound + ms)
				wantGet(t, b, "k", db, "new")
				b.link.Heal()
				time.Sleep(2 * bound)
				wantGet(t, b, "k", db, "new")
				wantGet(t, a, "k", db, "new")
			})
		})
	}
}

// 1000 keys are four messages of at most 256 keys, sent after their records are gone.
func TestInvalidateManyKeys(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b := f.sites[0], f.sites[1]
		keys, db := numbered(1000)
		wantMany(t, a, keys, db, db.rows)
		wantMany(t, b, keys, db, db.rows)
		db.wantLoads(t, 1)
		before := a.node.Stats().Announced
		invalidate(t, a, keys...)
		wantStat(t, "Announced", a.node.Stats().Announced-before, 4)
		wantStat(t, "Invalidated", a.Stats().Invalidated, 1000)
		for _, key := range keys {
			if f.kind(key) != 0 {
				t.Fatalf("Redis still holds %q", key)
			}
		}
		for _, key := range keys {
			if v, err := b.Peek(t.Context(), key); !errors.Is(err, tiered.ErrMiss) {
				t.Fatalf("the other node still holds %q: %q, %v", key, v, err)
			}
		}
		invalidate(t, a) // no keys
		wantStat(t, "Announced", a.node.Stats().Announced-before, 4)
	})
}

// Redis is away: the caller learns of it, this node does not use its copies any
// more, and the invalidation is made up for.
func TestInvalidateUnconfirmed(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old", "l", "w")
		wantGet(t, a, "k", db, "old")
		wantGet(t, b, "k", db, "old")
		wantGet(t, a, "l", db, "w")
		db.wantLoads(t, 2)
		a.link.Cut()
		db.set("k", "new")
		err := a.Invalidate(t.Context(), "k")
		wantError(t, "Invalidate", err, tiered.ErrUnconfirmed)
		wantStat(t, "Unconfirmed", a.Stats().Unconfirmed, 1)
		wantGet(t, a, "k", db, "new") // in the same instant
		wantGet(t, b, "k", db, "old") // nobody could tell it
		db.wantLoads(t, 1)

		a.link.Heal()
		time.Sleep(2 * bound)
		wantGet(t, b, "k", db, "new")
		wantGet(t, a, "k", db, "new")
		wantGet(t, a, "l", db, "w")
		if held := a.node.Stats().Journal; held != 0 {
			t.Errorf("the journal still holds %d keys", held)
		}
	})
}

// Between the failure and the retry the key is bypassed here, though Redis answers:
// what stands there is known to be old.
func TestPendingKeysAreBypassed(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db, lost := f.sites[0], newDatabase("k", "old"), errors.New("lost")
		wantGet(t, c, "k", db, "old")
		c.sent.breakOn(func(cmds []redis.Cmder) error {
			if cmds[0].Name() == "get" {
				return nil
			}
			return lost
		})
		db.set("k", "new")
		err := c.Invalidate(t.Context(), "k")
		wantError(t, "Invalidate", err, tiered.ErrUnconfirmed)
		wantError(t, "Invalidate", err, lost)
		f.wantKind(t, "k", 'V')
		wantGet(t, c, "k", db, "new")
		_, err = c.Peek(t.Context(), "k")
		if err != nil && !errors.Is(err, tiered.ErrMiss) {
			t.Errorf("Peek: %v", err)
		}
		m, err := c.GetMany(t.Context(), []string{"k"}, db.loadAll)
		if m["k"] != "new" || err != nil {
			t.Errorf("GetMany = %v, %v", m, err)
		}
		time.Sleep(2 * bound)
		wantGet(t, c, "k", db, "new")
		c.sent.breakOn(nil)
		time.Sleep(2 * bound)
		f.wantKind(t, "k", 0)
		wantGet(t, c, "k", db, "new")
		f.wantKind(t, "k", 'V')
	})
}

// A caller that gives up has not taken the invalidation back.
func TestInvalidateWithCancelledContext(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		wantGet(t, b, "k", db, "old")
		db.set("k", "new")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := a.Invalidate(ctx, "k")
		wantError(t, "Invalidate", err, tiered.ErrUnconfirmed)
		wantError(t, "Invalidate", err, context.Canceled)
		time.Sleep(bound)
		wantGet(t, b, "k", db, "new")
	})
}

// A delete of what nobody caches ends a load under way on each node, too.
func TestInvalidateWakesThoseWhoWait(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old")
		db.delays(4 * time.Second)
		holder := start(func() (string, error) { return a.Get(t.Context(), "k", db.load) })
		waiter := start(func() (string, error) { return b.Get(t.Context(), "k", db.load) })
		time.Sleep(time.Second)
		db.delays(100 * ms)
		db.set("k", "new")
		invalidate(t, a, "k")
		if waiter.want(t, "new", nil); waiter.took != 1100*ms {
			t.Errorf("the waiter returned after %v, want 100ms after the invalidation", waiter.took)
		}
		holder.want(t, "old", nil)
		wantGet(t, a, "k", db, "new")
		db.wantLoads(t, 2)
	})
}
