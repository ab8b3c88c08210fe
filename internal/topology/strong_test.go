package topology

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// strongly are the times of sites whose reads have to be linearizable.
var strongly = tiered.Config[string]{
	Name: "c", Consistency: tiered.Strong, LeaseTTL: 500 * time.Millisecond, WaitMax: time.Second,
}

// TestStrongSentinelUnderLoad: linearizable reads behind Sentinels, whatever way a
// master is lost, and also where values are kept over it.
func TestStrongSentinelUnderLoad(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]coherence.Config{"cold": {}, "warm": {Warm: 30 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := redistest.RunSentinel(t)
			opts := redis.UniversalOptions{Addrs: group.Addrs(), MasterName: group.MasterName()}
			w := watchedOn(t, slices.Repeat([]redis.UniversalOptions{opts}, 3), how, strongly)
			w.loseMasters(group, []masterFault{
				{"master killed", kill, follow},
				{"failover to a stale replica", w.failToStale, follow},
				{"master replaced alive", replaceOn(group), wait},
				{"master stopped", stop, resume},
			})
			w.hitMemory()
		})
	}
}

// replaceOn has a Sentinel promote the replica while the master lives on, unaware, until
// the Sentinels tell it. It may take the Sentinel a while to know of the replica.
func replaceOn(group *redistest.Sentinel) func(context.Context, *redistest.Server, *redistest.Server) error {
	return func(ctx context.Context, _, _ *redistest.Server) error {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: group.Addrs()[0]})
		defer sentinel.Close()
		for {
			err := sentinel.Failover(ctx, group.MasterName()).Err()
			switch {
			case redis.HasErrorPrefix(err, "INPROG"):
				return nil
			case !redis.HasErrorPrefix(err, "NOGOODSLAVE"):
				return err
			}
			pause(ctx, 100*time.Millisecond)
		}
	}
}

func wait(context.Context, *redistest.Server, *redistest.Server) error { return nil }

// TestStrongClusterUnderLoad: the same on a Cluster, where the values of most keys and
// the bus with its registry fail over apart from each other.
func TestStrongClusterUnderLoad(t *testing.T) {
	t.Parallel()
	group := redistest.RunCluster(t, 3, 1)
	opts := redis.UniversalOptions{Addrs: group.Addrs(), IsClusterMode: true}
	w := watchedOn(t, slices.Repeat([]redis.UniversalOptions{opts}, 3), coherence.Config{}, strongly)
	w.loseShards(group, []shardFault{
		{valueKey, masterFault{"master of a value killed", kill, rejoin}},
		{busKey, masterFault{"master of the bus killed", kill, rejoin}},
		{valueKey, masterFault{"master of a value stopped", stop, resume}},
		{valueKey, masterFault{"failover of a value to a stale replica", w.failToStale, rejoin}},
		{busKey, masterFault{"failover of the bus to a stale replica", w.failToStale, rejoin}},
	})
	w.hitMemory()
}

// TestStrongBehindBadLinks: one site's way to Redis is slow, slower than its timeout,
// one-way, cut, or reset all the time. The others write on: they wait for it, once,
// where it does not confirm.
func TestStrongBehindBadLinks(t *testing.T) {
	t.Parallel()
	server := redistest.RunServer(t)
	proxy, err := redistest.NewProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	direct, bad := redis.UniversalOptions{Addrs: []string{server.Addr()}}, redis.UniversalOptions{Addrs: []string{proxy.Addr()}}
	w := watchedOn(t, []redis.UniversalOptions{direct, direct, bad}, coherence.Config{}, strongly)
	w.recovered("at the start")
	for _, fault := range []struct {
		name  string
		begin func()
		gone  bool
	}{
		{"slow", func() { proxy.Delay(coherence.DefaultTimeout / 3) }, false},
		{"slower than the timeout", func() { proxy.Delay(2 * coherence.DefaultTimeout) }, true},
		{"one way", proxy.HoleReplies, true},
		{"silent", proxy.Hole, true},
		{"cut", proxy.Cut, true},
		{"reset", func() { proxy.Delay(time.Millisecond); proxy.Reset() }, false},
	} {
		gone := w.told(coherence.EventGone)
		fault.begin()
		for _, s := range w.sites[:2] {
			for _, key := range w.keys {
				eventually(t, fault.name+": the others write "+key, func(ctx context.Context) error { return w.update(ctx, s, key) })
			}
		}
		if told := w.told(coherence.EventGone) - gone; fault.gone && told == 0 {
			t.Errorf("%s: nobody has told of the silent site", fault.name)
		}
		proxy.Heal()
		w.recovered(fault.name)
	}
	w.hitMemory()
}

// told adds up the events of all sites.
func (w *watch) told(kind coherence.EventKind) (times int) {
	for _, s := range w.sites {
		times += s.told(kind)
	}
	return times
}

// hitMemory waits until every site serves reads from memory: else nothing was shown.
func (w *watch) hitMemory() {
	w.Helper()
	for _, s := range w.sites {
		before := s.Stats().LocalHits
		eventually(w.T, "a site serves from memory", func(context.Context) error {
			if now := s.Stats(); now.LocalHits < before+100 {
				return fmt.Errorf("%+v", now)
			}
			return nil
		})
	}
}
