package topology

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A master is demoted by hand: its replica is promoted, it becomes the replica of that, and
// the name moves. Nobody kills its connections, and it goes on answering reads on them: what
// the pools of the nodes hold must not be believed, and no node may stay there.
func TestDemotionByHand(t *testing.T) {
	for name, tt := range map[string]struct {
		how coherence.Config
		cfg tiered.Config[string]
	}{
		"bounded":           {coherence.Config{}, tiered.Config[string]{}},
		"bounded, proxied":  {coherence.Config{Proxied: true}, tiered.Config[string]{}},
		"acknowledged":      {coherence.Config{}, tiered.Config[string]{Consistency: tiered.Acknowledged}},
		"strong":            {coherence.Config{}, tiered.Config[string]{Consistency: tiered.Strong}},
		"bounded, and back": {coherence.Config{}, tiered.Config[string]{}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNamed(t)
			tt.cfg.Name, tt.cfg.LocalTTL = "c", time.Millisecond // so that reads ask Redis
			bound := coherence.DefaultMaxStale
			if tt.cfg.Consistency == tiered.Strong {
				bound = 0
			}
			a, b, s := n.open(t, tt.how, tt.cfg), n.open(t, tt.how, tt.cfg), newSource()
			s.set("k", "0")
			n.round(t, s, a, b, 1, bound)
			if name == "bounded, and back" {
				n.round(t, s, b, a, 2, bound)
			}
		})
	}
}

// named is two servers and the name by which clients reach the master.
type named struct {
	master, replica *redistest.Server
	leads           atomic.Pointer[redistest.Server]
}

func newNamed(t *testing.T) *named {
	n := &named{master: redistest.RunServer(t), replica: redistest.RunServer(t)}
	n.leads.Store(n.master)
	n.order(t, n.replica, "replicaof", "127.0.0.1", strconv.Itoa(n.master.Port()))
	return n
}

func (n *named) open(t *testing.T, how coherence.Config, cfg tiered.Config[string]) *site {
	return open(t, redis.UniversalOptions{
		Addrs:    []string{"name:6379"},
		PoolFIFO: true, MinIdleConns: 4, // the connections take turns
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, n.leads.Load().Addr())
		},
	}, how, cfg)
}

// order sends a command to one of the servers.
func (n *named) order(t *testing.T, to *redistest.Server, args ...any) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: to.Addr()})
	defer rdb.Close()
	if err := rdb.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
}

// round demotes the master while both sites have connections to it, and judges the reads of
// one after a write of the other. The demoted server follows its successor at first, so that
// it looks in step, and lags behind then.
func (n *named) round(t *testing.T, s *source, writer, reader *site, round int, bound time.Duration) {
	t.Helper()
	was, before, after := strconv.Itoa(2*round-2), strconv.Itoa(2*round-1), strconv.Itoa(2*round)
	for _, c := range []*site{writer, reader} {
		eventually(t, "the value is cached", c.reads("k", was, s.load))
	}
	n.caughtUp(t)
	n.order(t, n.replica, "replicaof", "no", "one")
	n.order(t, n.master, "replicaof", "127.0.0.1", strconv.Itoa(n.replica.Port()))
	n.master, n.replica = n.replica, n.master
	n.leads.Store(n.master)

	update := func(value string) time.Time {
		eventually(t, "a write succeeds", func(ctx context.Context) error {
			_, err := writer.Update(ctx, "k", s.write(value))
			return err
		})
		return time.Now()
	}
	update(before)
	eventually(t, "the write is read", reader.reads("k", before, s.load))
	n.caughtUp(t)
	if err := n.replica.Forsake(t.Context()); err != nil {
		t.Fatal(err)
	}
	written := update(after)
	for time.Since(written) < 5*time.Second {
		began := time.Now()
		v, err := reader.Get(t.Context(), "k", s.load)
		if err != nil {
			t.Fatal(err)
		}
		if v != after && began.After(written.Add(bound)) {
			t.Fatalf("%v after the write a read returned %q, want %q", began.Sub(written), v, after)
		}
		time.Sleep(time.Millisecond) // 5 s of reads, not all that the machine can do
	}
	for _, c := range []*site{writer, reader} {
		eventually(t, "the node is in step with the new master", func(context.Context) error {
			if state := c.node.State(); state != coherence.InStep {
				return fmt.Errorf("%v, told %v", state, c.heard())
			}
			return nil
		})
	}
	if err := n.replica.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// caughtUp waits until the replica has all that the master has.
func (n *named) caughtUp(t *testing.T) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: n.master.Addr()})
	defer rdb.Close()
	eventually(t, "the replica follows", func(ctx context.Context) error {
		if err := rdb.Set(ctx, "mark", "1", time.Minute).Err(); err != nil {
			return err
		}
		if have, err := rdb.Wait(ctx, 1, 100*time.Millisecond).Result(); err != nil || have < 1 {
			return fmt.Errorf("%d replicas have it: %v", have, err)
		}
		return nil
	})
}
