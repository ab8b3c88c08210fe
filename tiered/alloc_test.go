package tiered_test

import (
	"context"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func staticLoad(context.Context, string) (string, error) { return "v", nil }

// A hit in this process's memory allocates nothing, with and without options.
func TestLocalHitAllocatesNothing(t *testing.T) {
	noLeaks(t)
	e := redistest.RunPipe(t)
	_, node := join(t, e.Link().Options(), coherence.Config{})
	c := open(t, node, tiered.Config[string]{})
	ctx := t.Context()
	poll(t, "a local copy", func() bool {
		c.Get(ctx, "k", staticLoad)
		return c.Stats().LocalHits > 0
	})
	for name, get := range map[string]func(){
		"plain":   func() { c.Get(ctx, "k", staticLoad) },
		"options": func() { c.Get(ctx, "k", staticLoad, tiered.WithTTL(time.Minute), tiered.WithStaleTTL(time.Hour)) },
		"Peek":    func() { c.Peek(ctx, "k") },
	} {
		if raceEnabled {
			get() // the race detector allocates
			continue
		}
		if n := testing.AllocsPerRun(1000, get); n != 0 {
			t.Errorf("%s: %v allocations a hit", name, n)
		}
	}
	if s := c.Stats(); s.Loads != 1 {
		t.Errorf("%d loads: these were no hits", s.Loads)
	}
}

// Nor does one that an audit passes over.
func TestUnsampledHitAllocatesNothing(t *testing.T) {
	noLeaks(t)
	e := redistest.RunPipe(t)
	_, node := join(t, e.Link().Options(), coherence.Config{})
	c := open(t, node, tiered.Config[string]{Audit: tiered.Audit[string]{Sample: 1e-12, Source: 1}})
	poll(t, "a local copy", func() bool {
		c.Get(t.Context(), "k", staticLoad)
		return c.Stats().LocalHits > 0
	})
	get := func() { c.Get(t.Context(), "k", staticLoad) }
	if n := testing.AllocsPerRun(1000, get); n != 0 && !raceEnabled {
		t.Errorf("%v allocations a hit", n)
	}
	if n := testing.AllocsPerRun(100, func() { c.Stats() }); n != 0 && !raceEnabled {
		t.Errorf("%v allocations a snapshot", n)
	}
	if s := c.Stats(); s.Loads != 1 || s.Audit.Sampled != 0 {
		t.Errorf("%d loads, %d hits sampled", s.Loads, s.Audit.Sampled)
	}
}

// poll waits in real time for what happens in the background.
func poll(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s after a minute", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
