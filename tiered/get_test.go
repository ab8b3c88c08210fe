package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

func TestGetReadsThroughBothTiers(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "v")
		for range 3 {
			wantGet(t, a, "k", db, "v")
		}
		wantGet(t, b, "k", db, "v")
		wantGet(t, b, "k", db, "v")
		db.wantLoads(t, 1)

		s := a.Stats()
		wantStat(t, "Misses", s.Misses, 1)
		wantStat(t, "Loads", s.Loads, 1)
		wantStat(t, "LocalHits", s.LocalHits, 2)
		wantStat(t, "RemoteHits", s.RemoteHits, 0)
		s = b.Stats()
		wantStat(t, "Misses of the other", s.Misses, 0)
		wantStat(t, "Loads of the other", s.Loads, 0)
		wantStat(t, "LocalHits of the other", s.LocalHits, 1)
		wantStat(t, "RemoteHits of the other", s.RemoteHits, 1)
		f.wantKeysExpire(t)
	})
}

// Every verb refuses what no cache can hold, and names key and cache.
func TestBadArguments(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db, ctx := f.sites[0], newDatabase(), t.Context()
		long := strings.Repeat("long", coherence.MaxKey/4) + "!"
		for _, key := range []string{"", long} {
			words := []string{`cache "c"`, "empty"}
			if key == long {
				words = []string{`cache "c"`, `key "longlong`, "1025 bytes"}
			}
			_, get := c.Get(ctx, key, db.load)
			_, bypass := c.Get(ctx, key, db.load, tiered.Bypass())
			_, many := c.GetMany(ctx, []string{"fine", key}, db.loadAll)
			_, peek := c.Peek(ctx, key)
			_, update := c.Update(ctx, key, db.writes("v"))
			for verb, err := range map[string]error{
				"Get": get, "Get with Bypass": bypass, "GetMany": many, "Peek": peek, "Update": update,
				"Invalidate": c.Invalidate(ctx, "fine", key),
			} {
				wantWords(t, verb, err, words...)
			}
		}
		_, get := c.Get(ctx, "k", nil)
		wantWords(t, "Get without a loader", get, `key "k"`, `cache "c"`, "loader", "nil")
		_, many := c.GetMany(ctx, []string{"k"}, nil)
		wantWords(t, "GetMany without a loader", many, `cache "c"`, "loader", "nil")
		_, update := c.Update(ctx, "k", nil)
		wantWords(t, "Update without a writer", update, `key "k"`, `cache "c"`, "writer", "nil")

		db.wantLoads(t, 0)
		if len(db.rows) != 0 {
			t.Errorf("a refused Update wrote %q", db.rows)
		}
		longest := long[:coherence.MaxKey]
		db.set(longest, "v")
		wantGet(t, c, longest, db, "v")
	})
}

func wantWords(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: error %v does not name %s", what, err, word)
		}
	}
}

// Peers without negative caching ask the source for every read of a record that
// does not exist; peers that mark it with a value of their own cannot store that value.
func TestGetRemembersNotFound(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{NotFoundTTL: 3 * time.Second, StaleTTL: time.Hour}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase()
		for _, c := range f.sites {
			wantGetError(t, c, "k", db, tiered.ErrNotFound)
			wantGetError(t, c, "k", db, tiered.ErrNotFound)
			_, err := c.Peek(t.Context(), "k")
			wantError(t, "Peek", err, tiered.ErrNotFound)
		}
		db.wantLoads(t, 1)
		wantStat(t, "LoadErrors", a.Stats().LoadErrors, 0)

		db.set("k", "born elsewhere")
		time.Sleep(2900 * time.Millisecond)
		wantGetError(t, b, "k", db, tiered.ErrNotFound)
		time.Sleep(100 * time.Millisecond) // and never stale, whatever StaleTTL
		wantGet(t, b, "k", db, "born elsewhere")
		wantGet(t, a, "k", db, "born elsewhere")
		db.wantLoads(t, 1)
		wantStat(t, "StaleServed", a.Stats().StaleServed+b.Stats().StaleServed, 0)
	})
}

func TestNotFoundIsEndedByUpdate(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{NotFoundTTL: time.Minute}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase()
		wantGetError(t, a, "k", db, tiered.ErrNotFound)
		wantGetError(t, b, "k", db, tiered.ErrNotFound)
		if _, err := a.Update(t.Context(), "k", db.writes("born")); err != nil {
			t.Fatal(err)
		}
		settle()
		wantGet(t, a, "k", db, "born")
		wantGet(t, b, "k", db, "born")
	})
}

func TestNotFoundIsForgottenAtOnceIfSoConfigured(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{NotFoundTTL: -1}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase()
		for range 3 {
			wantGetError(t, c, "k", db, tiered.ErrNotFound)
		}
		db.wantLoads(t, 3)
		f.wantKind(t, "k", 0)
	})
}

func TestLoadErrorsAreNotCached(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db, down := f.sites[0], newDatabase("k", "v"), errors.New("down")
		db.fails(down)
		for range 2 {
			wantGetError(t, c, "k", db, down)
			f.wantKind(t, "k", 0) // the lease was given back
		}
		db.wantLoads(t, 2)
		wantStat(t, "LoadErrors", c.Stats().LoadErrors, 2)
		db.fails(nil)
		wantGet(t, c, "k", db, "v")
	})
}

type userKey struct{}

// A load has the values of the call that began it, and none of its deadlines.
func TestLoadContext(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{LoadTimeout: 7 * time.Second}, func(t *testing.T, f *fleet) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), userKey{}, "alice"), time.Minute)
		defer cancel()
		v, err := f.sites[0].Get(ctx, "k", func(ctx context.Context, key string) (string, error) {
			if key != "k" || ctx.Value(userKey{}) != "alice" {
				t.Errorf("the loader got key %q and user %v", key, ctx.Value(userKey{}))
			}
			if end, _ := ctx.Deadline(); end != began.Add(7*time.Second) {
				t.Errorf("the loader's deadline is %v after the call, want LoadTimeout", end.Sub(began))
			}
			return "v", nil
		})
		if v != "v" || err != nil {
			t.Errorf("Get = %q, %v", v, err)
		}
	})
}

func TestCancelledCallsDoNothing(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db, why := f.sites[0], newDatabase("k", "v"), errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		f.sites[0].sent.reset()
		_, err := c.Get(ctx, "k", db.load)
		wantError(t, "Get", err, why)
		_, err = c.Get(ctx, "k", db.load, tiered.Bypass())
		wantError(t, "Get with Bypass", err, why)
		_, err = c.GetMany(ctx, []string{"k", "l"}, db.loadAll)
		wantError(t, "GetMany", err, why)
		_, err = c.Update(ctx, "k", db.writes("w"))
		wantError(t, "Update", err, why)
		wantError(t, "Update", err, tiered.ErrNotWritten)
		db.wantLoads(t, 0)
		if db.row("k") != "v" {
			t.Error("a cancelled Update wrote")
		}
		if sent, pipes := c.sent.reset(); len(sent)+len(pipes) != 0 {
			t.Errorf("cancelled calls sent %q, %q", sent, pipes)
		}

		wantGet(t, c, "k", db, "v")
		if got, err := c.Get(ctx, "k", db.load); got != "v" || err != nil {
			t.Errorf("Get of a local copy with a cancelled context = %q, %v", got, err)
		}
	})
}

// A failing codec, loader or writer must not hand out half a value.
func TestValueOrErrorNeverBoth(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, down := f.sites[0], errors.New("down")
		half := func(context.Context, string) (string, error) { return "half", down }
		for verb, call := range map[string]func() (string, error){
			"Get":             func() (string, error) { return c.Get(t.Context(), "get", half) },
			"Get with Bypass": func() (string, error) { return c.Get(t.Context(), "bypass", half, tiered.Bypass()) },
			"Update":          func() (string, error) { return c.Update(t.Context(), "update", half) },
		} {
			if v, err := call(); v != "" || !errors.Is(err, down) {
				t.Errorf("%s = %q, %v, want only the error", verb, v, err)
			}
		}
	})
}
