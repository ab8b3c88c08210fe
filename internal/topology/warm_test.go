package topology

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// TestSentinelFailoverKeepsValues: with Config.Warm the promoted replica's values are
// used, but for those whose invalidation it has lost. Without it all are void.
func TestSentinelFailoverKeepsValues(t *testing.T) {
	const keys = 200
	for name, tt := range map[string]struct {
		warm        time.Duration
		least, most int // keys that a node which comes after the failover finds in Redis
	}{
		"warm": {time.Minute, keys - 1, keys},
		"cold": {0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			group := redistest.RunSentinel(t)
			opts := redis.UniversalOptions{Addrs: group.Addrs(), MasterName: group.MasterName()}
			cfg := tiered.Config[string]{Name: "c", TTL: time.Hour}
			how := coherence.Config{Warm: tt.warm}
			a, b := open(t, opts, how, cfg), open(t, opts, how, cfg)
			s := newSource()
			for i := range keys {
				s.set(strconv.Itoa(i), "old")
				eventually(t, "loaded", a.reads(strconv.Itoa(i), "old", s.load))
			}
			eventually(t, "the other node has a copy", b.reads("7", "old", s.load))
			loseLast(t, group, func() {
				eventually(t, "an update", func(ctx context.Context) error {
					_, err := a.Update(ctx, "7", s.write("new"))
					return err
				})
			})
			met := a.told(coherence.EventHistory)
			if err := group.Master().Kill(); err != nil {
				t.Fatal(err)
			}
			if err := group.Replica().Cont(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the nodes are in step with the promoted replica", func(context.Context) error {
				if a.told(coherence.EventHistory) == met || a.node.State() != coherence.InStep || b.node.State() != coherence.InStep {
					return fmt.Errorf("a %v, b %v", a.heard(), b.heard())
				}
				return nil
			})
			eventually(t, "the value whose invalidation was lost", b.reads("7", "new", s.load))
			c := open(t, opts, how, cfg)
			before := c.Stats()
			for i := range keys {
				want := "old"
				if i == 7 {
					want = "new"
				}
				eventually(t, "read", c.reads(strconv.Itoa(i), want, s.load))
			}
			after := c.Stats()
			loads, hits := int(after.Loads-before.Loads), int(after.RemoteHits-before.RemoteHits)
			t.Logf("a node that comes after the failover: %d of %d keys from Redis, %d loads", hits, keys, loads)
			if hits < tt.least || hits > tt.most {
				t.Errorf("%d hits, want %d to %d", hits, tt.least, tt.most)
			}
		})
	}
}

// loseLast does something that the replica does not get to know.
func loseLast(t *testing.T, group *redistest.Sentinel, do func()) {
	t.Helper()
	master := redis.NewClient(&redis.Options{Addr: group.Master().Addr(), ReadTimeout: patience})
	defer master.Close()
	if err := master.Set(t.Context(), "f:last", "", time.Minute).Err(); err != nil { // WAIT is about this connection's writes
		t.Fatal(err)
	}
	if n, err := master.Wait(t.Context(), 1, patience).Result(); err != nil || n != 1 {
		t.Fatalf("WAIT: %d replicas, %v", n, err)
	}
	if err := group.Replica().Stop(); err != nil {
		t.Fatal(err)
	}
	do()
}
