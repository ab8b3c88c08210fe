package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// numbered returns n keys and a database that holds them.
func numbered(n int) ([]string, *database) {
	keys, db := make([]string, n), newDatabase()
	for i := range keys {
		keys[i] = fmt.Sprintf("k%03d", i)
		db.set(keys[i], "v"+strconv.Itoa(i))
	}
	return keys, db
}

type manyReader interface {
	GetMany(ctx context.Context, keys []string, load tiered.BatchLoader[string], opts ...tiered.Option) (map[string]string, error)
}

func wantMany(t *testing.T, c manyReader, keys []string, db *database, want map[string]string, opts ...tiered.Option) {
	t.Helper()
	got, err := c.GetMany(t.Context(), keys, db.loadAll, opts...)
	if err != nil || got == nil || !maps.Equal(got, want) {
		t.Errorf("GetMany(%q) = %v, %v, want %v", keys, got, err, want)
	}
	settle()
}

// 100 cold keys are one call of the source and three round trips; 100 warm ones
// are one MGET; 100 local ones nothing.
func TestGetManyRoundTrips(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b := f.sites[0], f.sites[1]
		keys, db := numbered(100)
		warm := []string{"warm"}
		wantMany(t, a, warm, db, map[string]string{}) // loads the scripts
		wantMany(t, b, warm, db, map[string]string{})
		db.wantLoads(t, 1)
		a.sent.reset()
		b.sent.reset()

		wantMany(t, a, keys, db, db.rows)
		db.wantLoads(t, 1)
		sent, pipes := a.sent.reset()
		if !slices.Equal(sent, []string{"mget"}) || len(pipes) != 2 {
			t.Errorf("100 cold keys sent %q and %d pipelines, want look, acquire, commit", sent, len(pipes))
		}
		wantMany(t, b, keys, db, db.rows)
		sent, pipes = b.sent.reset()
		if !slices.Equal(sent, []string{"mget"}) || len(pipes) != 0 {
			t.Errorf("100 keys in Redis sent %q, %q, want one MGET", sent, pipes)
		}
		wantMany(t, b, keys, db, db.rows)
		if sent, pipes = b.sent.reset(); len(sent)+len(pipes) != 0 {
			t.Errorf("100 local keys sent %q, %q", sent, pipes)
		}
		db.wantLoads(t, 0)
		s := b.Stats()
		wantStat(t, "RemoteHits", s.RemoteHits, 101)
		wantStat(t, "LocalHits", s.LocalHits, 100)
		wantStat(t, "Loads of a batch", a.Stats().Loads, 2)
		wantStat(t, "Misses of a batch", a.Stats().Misses, 101)
	})
}

func TestGetManyOddLists(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("a", "1", "b", "2", "surplus", "3")
		for _, opts := range [][]tiered.Option{{tiered.Bypass()}, nil, nil} { // past the cache, cold, warm
			wantMany(t, c, nil, db, map[string]string{}, opts...)
			wantMany(t, c, []string{"a", "b", "a", "a"}, db, map[string]string{"a": "1", "b": "2"}, opts...)
			wantMany(t, c, []string{"none", "a", "none"}, db, map[string]string{"a": "1"}, opts...)
			wantMany(t, c, []string{"none"}, db, map[string]string{}, opts...)
		}

		// A loader that returns more than it was asked for, or a nil map.
		all := func(_ context.Context, keys []string) (map[string]string, error) {
			if slices.Sort(keys); len(slices.Compact(keys)) != len(keys) {
				t.Errorf("the loader was asked for %q", keys)
			}
			return maps.Clone(db.rows), nil
		}
		for _, opt := range []tiered.Option{tiered.Bypass(), tiered.WithTTL(time.Minute)} {
			got, err := c.GetMany(t.Context(), []string{"c", "b", "c"}, all, opt)
			if err != nil || len(got) != 1 || got["b"] != "2" {
				t.Errorf("GetMany = %v, %v, want b only", got, err)
			}
			got, err = c.GetMany(t.Context(), []string{"d"}, func(context.Context, []string) (map[string]string, error) { return nil, nil }, opt)
			if err != nil || got == nil || len(got) != 0 {
				t.Errorf("GetMany of nothing = %v, %v, want an empty map", got, err)
			}
		}
		if _, err := c.Peek(t.Context(), "surplus"); !errors.Is(err, tiered.ErrMiss) {
			t.Errorf("what nobody asked for was cached: %v", err)
		}
		_, err := c.Peek(t.Context(), "none")
		wantError(t, "Peek", err, tiered.ErrNotFound)
	})
}

// Some keys fail: the others are returned, and each failure can be found.
func TestGetManyPartialFailure(t *testing.T) {
	bad := errors.New("cannot be encoded")
	picky := ownCodec{append: func(dst []byte, v any) ([]byte, error) {
		if *v.(*string) == "b" {
			return dst, bad
		}
		return codec.Raw().Append(dst, v)
	}}
	bubble(t, 1, tiered.Config[string]{Codec: picky}, func(t *testing.T, f *fleet) {
		c, db, down := f.sites[0], newDatabase("cached", "1", "bad", "b", "good", "2"), errors.New("down")
		wantGet(t, c, "cached", db, "1")
		got, err := c.GetMany(t.Context(), []string{"cached", "bad", "good", "none"}, db.loadAll)
		var failed *tiered.KeysError
		if !errors.As(err, &failed) || len(failed.Failed) != 1 || !errors.Is(failed.Failed["bad"], bad) || !errors.Is(err, bad) {
			t.Errorf("GetMany: error %v", err)
		}
		if want := map[string]string{"cached": "1", "good": "2"}; !maps.Equal(got, want) {
			t.Errorf("GetMany = %v, want %v", got, want)
		}

		db.fails(down)
		got, err = c.GetMany(t.Context(), []string{"cached", "x", "y"}, db.loadAll)
		wantError(t, "GetMany", err, down)
		if !errors.As(err, &failed) || !slices.Equal(slices.Sorted(maps.Keys(failed.Failed)), []string{"x", "y"}) {
			t.Errorf("GetMany: error %v, want one that names x and y", err)
		}
		if want := map[string]string{"cached": "1"}; !maps.Equal(got, want) {
			t.Errorf("GetMany = %v, want %v", got, want)
		}
		f.wantKind(t, "x", 0)
		_, err = c.GetMany(t.Context(), []string{"x"}, db.loadAll, tiered.Bypass())
		wantError(t, "GetMany with Bypass", err, down)
	})
}

// A batch and a single read of one key are one load, whoever comes first.
func TestGetManySharesFlightsWithGet(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, db := f.sites[0], newDatabase("k", "v", "l", "w")
		db.delays(time.Second)
		many := func(ctx context.Context, keys ...string) *pending {
			return start(func() (string, error) {
				m, err := c.GetMany(ctx, keys, db.loadAll)
				return fmt.Sprint(m), err
			})
		}
		batch := many(t.Context(), "k", "l")
		single := start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		batch.want(t, "map[k:v l:w]", nil)
		single.want(t, "v", nil)
		db.wantLoads(t, 1)

		invalidate(t, c, "k", "l")
		single = start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		batch = many(t.Context(), "l", "k")
		single.want(t, "v", nil)
		batch.want(t, "map[k:v l:w]", nil)
		db.wantLoads(t, 2)

		// And a batch that is left goes on for the single read that joined it.
		invalidate(t, c, "k", "l")
		ctx, cancel := context.WithCancel(t.Context())
		batch = many(ctx, "k", "l")
		single = start(func() (string, error) { return c.Get(t.Context(), "k", db.load) })
		cancel()
		batch.want(t, "map[]", context.Canceled)
		single.want(t, "v", nil)
		db.wantLoads(t, 1)
	})
}

// The last one to leave ends the load of a batch and gives all leases back.
func TestGetManyIsCancelledWhenAllLeave(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		c, ended := f.sites[0], make(chan error, 1)
		load := func(ctx context.Context, keys []string) (map[string]string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := start(func() (string, error) {
			_, err := c.GetMany(ctx, []string{"k", "l"}, load)
			return "", err
		})
		f.wantKind(t, "k", 'L')
		f.wantKind(t, "l", 'L')
		p.want(t, "", context.DeadlineExceeded)
		if p.took != time.Second {
			t.Errorf("GetMany returned after %v", p.took)
		}
		wantError(t, "the loader's context", <-ended, context.Canceled)
		settle()
		f.wantKind(t, "k", 0)
		f.wantKind(t, "l", 0)
	})
}

// Two nodes want each other's keys: a batch that waited for others before it had
// filled its own leases would wait for ever.
func TestGetManyCrossing(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		keys, db := numbered(20)
		db.delays(time.Second)
		var calls []*pending
		for i, s := range f.sites {
			own := keys[i*10 : i*10+10] // in flight before both want all
			calls = append(calls, start(func() (string, error) {
				m, err := s.GetMany(t.Context(), own, db.loadAll)
				return strconv.Itoa(len(m) + 10), err
			}))
		}
		for _, s := range f.sites {
			for _, order := range [][]string{keys, slices.Concat(keys[10:], keys[:10])} {
				calls = append(calls, start(func() (string, error) {
					m, err := s.GetMany(t.Context(), order, db.loadAll)
					return strconv.Itoa(len(m)), err
				}))
			}
		}
		for _, p := range calls {
			if p.want(t, "20", nil); p.took > 1100*ms {
				t.Errorf("a batch took %v, want that of one load", p.took)
			}
		}
		db.wantLoads(t, 2)
	})
	// Without a head start: the leases are split as chance will have it.
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		keys, db := numbered(50)
		db.delays(time.Second)
		var calls []*pending
		for i := range 10 {
			order := slices.Concat(keys[i:], keys[:i])
			if i%3 == 0 {
				slices.Reverse(order)
			}
			calls = append(calls, start(func() (string, error) {
				m, err := f.sites[i%2].GetMany(t.Context(), order[:40], db.loadAll)
				return strconv.Itoa(len(m)), err
			}))
		}
		for _, p := range calls {
			if p.want(t, "40", nil); p.took > 3*time.Second {
				t.Errorf("a batch took %v", p.took)
			}
		}
		db.mu.Lock()
		defer db.mu.Unlock()
		if db.loads > 10 {
			t.Errorf("%d loads of 10 batches", db.loads)
		}
	})
}

// Keys in all states at once: local, in Redis, loading here, loading there,
// fenced, stale of another kind, and nowhere.
func TestGetManyMixedStates(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b := f.sites[0], f.sites[1]
		db := newDatabase("local", "1", "remote", "2", "here", "3", "there", "4", "fenced", "5", "foreign", "6", "nowhere", "7")
		want := maps.Clone(db.rows)
		wantGet(t, a, "local", db, "1")
		wantGet(t, b, "remote", db, "2")
		f.Set(prefix+"foreign", "junk")
		inDoubt := errors.New("in doubt")
		if _, err := b.Update(t.Context(), "fenced", func(context.Context, string) (string, error) { return "", inDoubt }); !errors.Is(err, inDoubt) {
			t.Fatal(err)
		}
		db.delays(time.Second)
		here := start(func() (string, error) { return a.Get(t.Context(), "here", db.load) })
		there := start(func() (string, error) { return b.Get(t.Context(), "there", db.load) })
		db.wantLoads(t, 4)
		keys := slices.Collect(maps.Keys(want))
		wantMany(t, a, append(keys, "absent"), db, want)
		here.want(t, "3", nil)
		there.want(t, "4", nil)
		db.wantLoads(t, 1)
		f.wantKind(t, "fenced", 'F')
		f.wantKind(t, "foreign", 'V')
		f.wantKind(t, "nowhere", 'V')
		wantStat(t, "Bypassed", a.Stats().Bypassed, 1)
		wantMany(t, b, keys, db, want)
		db.wantLoads(t, 1) // the fenced one
	})
}

// An invalidation during a batch refuses that key's fill and no other.
func TestInvalidateDuringGetMany(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, db := f.sites[0], newDatabase("k", "old", "l", "w")
		db.delays(time.Second)
		p := start(func() (string, error) {
			m, err := a.GetMany(t.Context(), []string{"k", "l"}, db.loadAll)
			return fmt.Sprint(m), err
		})
		db.set("k", "new")
		if err := f.sites[1].Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		p.want(t, "map[k:old l:w]", nil)
		wantStat(t, "RefusedFills", a.Stats().RefusedFills, 1)
		db.wantLoads(t, 1)
		wantMany(t, a, []string{"k", "l"}, db, map[string]string{"k": "new", "l": "w"})
		db.wantLoads(t, 1)
	})
}

// Options of a batch count for what it stores, and its stale keys are refreshed.
func TestGetManyExpiry(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b, db := f.sites[0], f.sites[1], newDatabase("k", "old", "l", "old")
		keys, old, fresh := []string{"k", "l"}, map[string]string{"k": "old", "l": "old"}, map[string]string{"k": "new", "l": "new"}
		wantMany(t, a, keys, db, old, tiered.WithTTL(10*time.Second), tiered.WithStaleTTL(time.Minute))
		db.set("k", "new")
		db.set("l", "new")
		time.Sleep(10 * time.Second)
		wantMany(t, b, keys, db, old) // from Redis, and stale
		wantMany(t, a, keys, db, old) // local, and stale
		time.Sleep(time.Second)
		for _, s := range f.sites { // finds the fresh one behind its stale copy, if another node has refreshed it
			s.GetMany(t.Context(), keys, db.loadAll)
			settle()
		}
		wantMany(t, b, keys, db, fresh)
		wantMany(t, a, keys, db, fresh)
		db.wantLoads(t, 3)
	})
}
