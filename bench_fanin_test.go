package tiercache_test

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

// BenchmarkFanIn: what a write costs in fleets of 1 to 30 nodes when all of them
// confirm it before the source is written (strong), beside the same write of a cache
// that promises a bound. The nodes share this process, and so the processors; the
// source takes no time. See docs/strong.md, and TestStrongFanIn in
// internal/simulation for 100 nodes.
//
// entries/op and acks/op are announcements delivered and confirmations sent,
// publishes/op is what Redis was asked to publish. rest-cmds/probe and
// rest-redis-ns/probe are what a probe of a node costs Redis while nobody writes.
func BenchmarkFanIn(b *testing.B) {
	for _, c := range []tiered.Consistency{tiered.Bounded, tiered.Strong} {
		f := &fleet{aside: goRedis(b, redistest.RunServer(b).Addr()), consistency: c}
		lib := map[tiered.Consistency]string{tiered.Bounded: "bounded", tiered.Strong: "strong"}[c]
		for _, n := range []int{1, 3, 10, 30} {
			open := func(sub *testing.B) { f.grow(b, sub, n) }
			for _, callers := range []int{1, 16} {
				b.Run("lib="+lib+"/nodes="+strconv.Itoa(n)+"/callers="+strconv.Itoa(callers), func(b *testing.B) {
					open(b)
					f.measure(b, callers)
				})
			}
		}
	}
}

// A fleet is some nodes with a cache of the same name.
type fleet struct {
	aside       *redis.Client
	consistency tiered.Consistency
	nodes       []*coherence.Node
	caches      []*tiered.Cache[*Product]
	rest        rest
}

// rest is what the probes of a fleet cost while nobody writes.
type rest struct{ commands, redis float64 }

// grow adds nodes until there are n. They last for the group, of which sub is one case.
func (f *fleet) grow(group, sub *testing.B, n int) {
	sub.Helper()
	grown := len(f.nodes) < n
	for len(f.nodes) < n {
		opts := &redis.UniversalOptions{Addrs: []string{f.aside.Options().Addr}, ReadTimeout: patience, PoolTimeout: patience}
		monitor := coherence.Instrument(opts)
		rdb := redis.NewUniversalClient(opts)
		group.Cleanup(func() { _ = rdb.Close() })
		node, err := coherence.Join(sub.Context(), rdb, coherence.Config{
			Fleet: "fanin", Monitor: monitor, Timeout: patience / 4, MaxStale: fanInBound, Probe: coherence.DefaultProbe,
			OnEvent: func(coherence.Event) {},
		})
		if err != nil {
			sub.Fatal(err)
		}
		group.Cleanup(func() { _ = node.Close() })
		c, err := tiered.New(node, tiered.Config[*Product]{Name: "p", TTL: life, Consistency: f.consistency, MaxLocalBytes: 1 << 20})
		if err != nil {
			sub.Fatal(err)
		}
		group.Cleanup(func() { _ = c.Close() })
		f.nodes, f.caches = append(f.nodes, node), append(f.caches, c)
	}
	if grown {
		f.settle(sub)
	}
}

// fanInBound is longer than the default: a machine that is busy with 30 nodes must not
// cost them their leases. A strong fleet begins to write after three times as long.
const fanInBound = 2 * time.Second

// settle writes until that is not held up any more, and measures the fleet at rest.
func (f *fleet) settle(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if _, err := f.caches[0].Update(ctx, "warm", load); err != nil {
		b.Fatal(err)
	}
	before, m := f.counts(b), newMeter(b, f.aside)
	time.Sleep(5 * coherence.DefaultProbe) // at rest
	after := f.counts(b)
	used := serverTime(b, f.aside) - m.server
	probes := float64(after.probes - before.probes)
	f.rest = rest{float64(after.commands-before.commands) / probes, float64(used) / probes}
}

// counts are what has happened in a fleet so far.
type counts struct{ probes, entries, acks, publishes, commands int64 }

func (f *fleet) counts(b *testing.B) (c counts) {
	b.Helper()
	for _, n := range f.nodes {
		s := n.Stats()
		c.probes, c.entries, c.acks = c.probes+int64(s.Probes), c.entries+int64(s.Messages), c.acks+int64(s.Confirmed)
	}
	c.commands, c.publishes = commands(b, f.aside), published(b, f.aside)
	return c
}

// published is how often Redis was asked to publish, in scripts as well.
func published(b *testing.B, rdb *redis.Client) int64 {
	info, err := rdb.InfoMap(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	var calls int64
	if _, err := fmt.Sscanf(info["Commandstats"]["cmdstat_publish"], "calls=%d", &calls); err != nil {
		b.Fatal(err)
	}
	return calls
}

// measure writes on one node.
func (f *fleet) measure(b *testing.B, callers int) {
	keys, ctx := ids(1024), b.Context()
	write := func(i int) error {
		_, err := f.caches[0].Update(ctx, keys[i%len(keys)], load)
		return err
	}
	crowd(b, callers, 4*callers, write)
	before, m := f.counts(b), newMeter(b, f.aside)
	b.ResetTimer()
	crowd(b, callers, b.N, func(i int) error { return m.timed(func() error { return write(i) }) })
	b.StopTimer()
	m.report(b, b.N)
	after := f.counts(b)
	for unit, n := range map[string]int64{
		"entries/op": after.entries - before.entries, "acks/op": after.acks - before.acks, "publishes/op": after.publishes - before.publishes,
	} {
		b.ReportMetric(float64(n)/float64(b.N), unit)
	}
	b.ReportMetric(f.rest.commands, "rest-cmds/probe")
	b.ReportMetric(f.rest.redis, "rest-redis-ns/probe")
	f.check(b, keys[0])
}

// check fails unless all nodes have what was written.
func (f *fleet) check(b *testing.B, key string) {
	b.Helper()
	if outwaited := f.nodes[0].Stats().Outwaited; outwaited > 0 {
		b.Errorf("%d nodes did not confirm a write in time: what was measured is the wait for them", outwaited)
	}
	for _, c := range f.caches {
		p, err := c.Get(b.Context(), key, load)
		if err == nil {
			err = wrong(p, key)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
