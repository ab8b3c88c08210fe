package tiered_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// occupy keeps a site's only place at the source until the test ends it.
func occupy(t *testing.T, s *site) (free func()) {
	release := make(chan struct{})
	busy := start(func() (string, error) {
		return s.Get(t.Context(), "occupied", func(context.Context, string) (string, error) {
			<-release
			return "at last", nil
		})
	})
	settle()
	return func() {
		close(release)
		busy.wait(t)
	}
}

// A node at its SourceLimit took the lease of a key first and queued under it,
// so that an idle node waited WaitMax for a free source.
func TestBusyNodeLeavesTheLeaseToOthers(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{SourceLimit: 1}, func(t *testing.T, f *fleet) {
		busy, idle := f.sites[0], f.sites[1]
		db := newDatabase("k", "v")
		free := occupy(t, busy)
		queued := start(func() (string, error) { return busy.Get(t.Context(), "k", db.load) })
		settle()
		began := time.Now()
		wantGet(t, idle, "k", db, "v")
		if took := time.Since(began); took > time.Second {
			t.Errorf("an idle node waited %v for a busy one", took)
		}
		free()
		queued.want(t, "v", nil)
		db.wantLoads(t, 1)
	})
}

// The same for the refresh of a value past its TTL.
func TestBusyNodeLeavesTheRefreshToOthers(t *testing.T) {
	cfg := tiered.Config[string]{SourceLimit: 1, TTL: time.Second, StaleTTL: time.Hour, Jitter: -1}
	bubble(t, 2, cfg, func(t *testing.T, f *fleet) {
		busy, idle := f.sites[0], f.sites[1]
		db := newDatabase("k", "v")
		wantGet(t, busy, "k", db, "v")
		wantGet(t, idle, "k", db, "v")
		free := occupy(t, busy)
		defer free()
		time.Sleep(2 * time.Second)
		wantGet(t, busy, "k", db, "v") // stale, and nobody there to refresh it
		settle()
		wantGet(t, idle, "k", db, "v") // stale too
		time.Sleep(tiered.DefaultLeaseTTL / 2)
		wantStat(t, "Refreshes", idle.Stats().Refreshes, 1)
		db.wantLoads(t, 2)
	})
}

// Large batches travel in parts, so that no part outlasts a Timeout; the source
// is still asked once.
func TestGetManyTravelsInParts(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		a, b := f.sites[0], f.sites[1]
		keys, db := numbered(1100)
		wantMany(t, a, []string{"warm"}, db, map[string]string{}) // loads the scripts
		db.wantLoads(t, 1)
		a.sent.reset()
		wantMany(t, a, keys, db, db.rows)
		db.wantLoads(t, 1)
		if sent, pipes := a.sent.reset(); len(sent) != 3 || len(pipes) != 6 {
			t.Errorf("1100 cold keys sent %q and %d pipelines, want 3 each to look, acquire, commit", sent, len(pipes))
		}
		wantMany(t, b, []string{"warm"}, db, map[string]string{}) // connects
		b.sent.reset()
		wantMany(t, b, keys, db, db.rows)
		if sent, pipes := b.sent.reset(); !slices.Equal(sent, []string{"mget", "mget", "mget"}) || len(pipes) != 0 {
			t.Errorf("1100 keys in Redis sent %q and %d pipelines, want 3 MGETs", sent, len(pipes))
		}
		db.wantLoads(t, 0)
	})
}

// A WaitMax without end overflowed into one that was over already.
func TestEndlessWaitMax(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{WaitMax: math.MaxInt64}, func(t *testing.T, f *fleet) {
		db := newDatabase("k", "v")
		db.delays(500 * time.Millisecond)
		p := start(func() (string, error) { return f.sites[0].Get(t.Context(), "k", db.load) })
		time.Sleep(50 * time.Millisecond)
		q := start(func() (string, error) { return f.sites[1].Get(t.Context(), "k", db.load) })
		p.want(t, "v", nil)
		q.want(t, "v", nil)
		db.wantLoads(t, 1)
	})
}
