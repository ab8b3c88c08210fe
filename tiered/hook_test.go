package tiered_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// cloned opens a cache of slices that clones.
func cloned(t *testing.T, f *fleet, edit ...func(*tiered.Config[[]int])) *tiered.Cache[[]int] {
	cfg := tiered.Config[[]int]{Name: "slices", Clone: slices.Clone[[]int], TTL: 10 * time.Second, StaleTTL: time.Hour}
	for _, e := range edit {
		e(&cfg)
	}
	return open(t, f.sites[0].node, cfg)
}

// What a loader or a writer goes on using is not what the cache keeps.
func TestCloneOfWhatGoesIn(t *testing.T) {
	own := []int{1}
	load := func(context.Context, string) ([]int, error) { return own, nil }
	read := func(c *tiered.Cache[[]int], ctx context.Context) error { _, err := c.Get(ctx, "k", load); return err }
	for name, fill := range map[string]func(c *tiered.Cache[[]int], ctx context.Context) error{
		"loader": read,
		"batch loader": func(c *tiered.Cache[[]int], ctx context.Context) error {
			_, err := c.GetMany(ctx, []string{"k"}, func(context.Context, []string) (map[string][]int, error) {
				return map[string][]int{"k": own}, nil
			})
			return err
		},
		"writer": func(c *tiered.Cache[[]int], ctx context.Context) error {
			_, err := c.Update(ctx, "k", load)
			return err
		},
		"refresh": func(c *tiered.Cache[[]int], ctx context.Context) error {
			other := func(context.Context, string) ([]int, error) { return []int{0}, nil }
			if _, err := c.Get(ctx, "k", other); err != nil {
				return err
			}
			settle()
			time.Sleep(11 * time.Second)
			return read(c, ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				own = []int{1}
				c := cloned(t, f)
				if err := fill(c, t.Context()); err != nil {
					t.Fatal(err)
				}
				settle()
				time.Sleep(time.Second)
				own[0] = 2
				if v, err := c.Get(t.Context(), "k", load); err != nil || v[0] != 1 {
					t.Errorf("Get = %v, %v: the owner's change is seen", v, err)
				}
			})
		})
	}
}

// A Clone that panics is the error of the call that met it.
func TestClonePanics(t *testing.T) {
	bubble(t, 1, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		var bad atomic.Bool
		c := cloned(t, f, func(cfg *tiered.Config[[]int]) {
			cfg.Clone = func(v []int) []int {
				if bad.Load() {
					panic("boom")
				}
				return slices.Clone(v)
			}
		})
		load := func(context.Context, string) ([]int, error) { return []int{1}, nil }
		many := func(context.Context, []string) (map[string][]int, error) {
			return map[string][]int{"k": {1}, "l": {1}}, nil
		}
		if _, err := c.Get(t.Context(), "k", load); err != nil {
			t.Fatal(err)
		}
		settle()
		bad.Store(true)
		for name, call := range map[string]func() error{
			"hit":        func() error { _, err := c.Get(t.Context(), "k", load); return err },
			"load":       func() error { _, err := c.Get(t.Context(), "l", load); return err },
			"batch":      func() error { _, err := c.GetMany(t.Context(), []string{"k", "l"}, many); return err },
			"batch hits": func() error { _, err := c.GetMany(t.Context(), []string{"k"}, many); return err },
			"peek":       func() error { _, err := c.Peek(t.Context(), "k"); return err },
		} {
			if err := call(); !isPanic(err) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if _, err := c.Update(t.Context(), "m", load); !isPanic(err) {
			t.Errorf("Update: error %v", err)
		}
		if c.Stats().Panics < 5 {
			t.Errorf("Panics = %d", c.Stats().Panics)
		}
		bad.Store(false)
		if v, err := c.Get(t.Context(), "k", load); err != nil || v[0] != 1 {
			t.Errorf("Get = %v, %v", v, err)
		}
	})
}

// A panic of OnEvent ends neither the process nor the node, and one of a hook of a cache
// is told once.
func TestOnEventPanics(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{Embedded: redistest.RunPipe(t)}
		s := f.dial(t)
		var told atomic.Int32
		_, node := join(t, s.link.Options(), coherence.Config{OnEvent: func(e coherence.Event) {
			if e.Kind == coherence.EventPanic {
				told.Add(1)
			}
			panic(errors.New("boom"))
		}})
		c := open(t, node, tiered.Config[string]{Clone: func(string) string { panic("boom") }})
		db := newDatabase("k", "v")
		for range 3 {
			if _, err := c.Get(t.Context(), "k", db.load); !isPanic(err) {
				t.Errorf("Get: error %v", err)
			}
		}
		if told.Load() != 1 {
			t.Errorf("EventPanic was told %d times", told.Load())
		}
		if err := node.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		settle() // the event of that
		if node.Stats().Panics == 0 {
			t.Error("no panic was counted")
		}
	})
}
