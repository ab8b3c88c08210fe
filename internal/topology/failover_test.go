package topology

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestSentinelFailover(t *testing.T) {
	group := redistest.RunSentinel(t)
	failover(t, redis.UniversalOptions{Addrs: group.Addrs(), MasterName: group.MasterName()}, func(*site) error {
		return group.Master().Kill()
	})
}

// The master that holds the bus dies.
func TestClusterFailover(t *testing.T) {
	group := redistest.RunCluster(t, 3, 1)
	failover(t, redis.UniversalOptions{Addrs: group.Addrs(), IsClusterMode: true}, func(s *site) error {
		holder, err := s.node.Redis().(*redis.ClusterClient).MasterForKey(t.Context(), "{f}:bus")
		if err != nil {
			return err
		}
		for _, server := range group.Nodes() {
			if server.Addr() == holder.Options().Addr {
				return server.Kill()
			}
		}
		return fmt.Errorf("no server of the group is %s", holder.Options().Addr)
	})
}

// failover kills a master and wants the fleet back, in step with the promoted
// replica and without the values from before.
func failover(t *testing.T, opts redis.UniversalOptions, kill func(*site) error) {
	s := newSource()
	cfg := tiered.Config[string]{Name: "c"}
	a, b := open(t, opts, coherence.Config{}, cfg), open(t, opts, coherence.Config{}, cfg)
	s.set("k", "old")
	for _, c := range []*site{a, b} {
		v, err := c.Get(t.Context(), "k", s.load)
		wantValue(t, "Get", v, err, "old")
	}
	met := map[*site]int{a: a.told(coherence.EventHistory), b: b.told(coherence.EventHistory)}
	if err := kill(a); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*site{a, b} {
		eventually(t, "the node has met the promoted replica", func(context.Context) error {
			if c.told(coherence.EventHistory) == met[c] || c.node.State() != coherence.InStep {
				return fmt.Errorf("%v, %+v, told %v", c.node.State(), c.node.Stats(), c.heard())
			}
			return nil
		})
	}
	eventually(t, "a write succeeds", func(ctx context.Context) error {
		_, err := a.Update(ctx, "k", s.write("new"))
		return err
	})
	eventually(t, "the other node reads it", b.reads("k", "new", s.load))
	messages := b.node.Stats().Messages
	eventually(t, "pub/sub delivers again", func(ctx context.Context) error {
		if err := a.Invalidate(ctx, "k"); err != nil {
			return err
		}
		if b.node.Stats().Messages == messages {
			return fmt.Errorf("Stats() = %+v", b.node.Stats())
		}
		return nil
	})
}
