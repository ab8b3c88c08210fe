package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Keys of Redis that stand for a shard.
const (
	busKey   = "{f}:bus"
	valueKey = "f:c:k0"
)

// TestClusterUnderLoad: what can befall a master of a Cluster of six, the one of a
// value's shard and the one of the bus, one after the other and each under load.
// Whoever was master is a replica of its successor before the next one falls.
func TestClusterUnderLoad(t *testing.T) {
	t.Parallel()
	group := redistest.RunCluster(t, 3, 1)
	w := watched(t, 3, redis.UniversalOptions{Addrs: group.Addrs(), IsClusterMode: true})
	w.loseShards(group, []shardFault{
		{valueKey, masterFault{"master of a value killed", kill, rejoin}},
		{busKey, masterFault{"master of the bus killed", kill, rejoin}},
		{valueKey, masterFault{"master of a value stopped", stop, resume}},
		{busKey, masterFault{"master of the bus stopped", stop, resume}},
		{valueKey, masterFault{"failover of a value to a stale replica", w.failToStale, rejoin}},
		{busKey, masterFault{"failover of the bus to a stale replica", w.failToStale, rejoin}},
	})
}

// A shardFault befalls the master of the shard that holds a key.
type shardFault struct {
	shard string
	masterFault
}

func (w *watch) loseShards(group *redistest.Cluster, faults []shardFault) {
	w.Helper()
	for _, s := range w.sites {
		s.meetShards(w.T, s.node.Redis())
	}
	w.recovered("at the start")
	w.do("move the bus", func(ctx context.Context) error { return w.apart(ctx, group) })
	for _, fault := range faults {
		var master, replica *redistest.Server
		w.do(fault.name, func(ctx context.Context) (err error) {
			master, replica, err = shardOf(ctx, group, fault.shard)
			return err
		})
		met := w.histories()
		w.do(fault.name, func(ctx context.Context) error { return fault.begin(ctx, master, replica) })
		eventually(w.T, fault.name+": the replica is promoted", func(ctx context.Context) error { return isMaster(ctx, replica) })
		w.recovered(fault.name)
		w.heardAnew(fault.name)
		w.metAnew(fault.name, met)
		w.do(fault.name, func(ctx context.Context) error { return fault.heal(ctx, master, replica) })
		w.follows(fault.name, master, replica)
		w.recovered(fault.name + ", healed")
	}
}

// rejoin restarts the former master without data; the Cluster makes it a replica.
func rejoin(ctx context.Context, master, replica *redistest.Server) error {
	return errors.Join(replica.Reconcile(ctx), master.Restart(true))
}

// apart sees to it that the bus is not in the shard of valueKey.
func (w *watch) apart(ctx context.Context, group *redistest.Cluster) error {
	bus, err := group.Owner(ctx, busKey)
	if err != nil {
		return err
	}
	if value, err := group.Owner(ctx, valueKey); err != nil || value != bus {
		return err
	}
	return migrate(ctx, group, busKey, func() {})
}

// migrate moves a key's slot to another master; between happens while it is open and
// half of it is moved.
func migrate(ctx context.Context, group *redistest.Cluster, key string, between func()) error {
	from, err := group.Owner(ctx, key)
	if err != nil {
		return err
	}
	to := from
	for _, node := range group.Nodes() {
		if node != from && isMaster(ctx, node) == nil {
			to = node
		}
	}
	m, err := group.BeginMigration(ctx, key, to)
	if err != nil {
		return err
	}
	between()
	if err := m.Move(ctx); err != nil {
		return err
	}
	between()
	return m.Finish(ctx)
}

func isMaster(ctx context.Context, server *redistest.Server) error {
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()
	info, err := rdb.InfoMap(ctx, "replication").Result()
	if err == nil && info["Replication"]["role"] != "master" {
		err = fmt.Errorf("the role of %s is %q", server.Addr(), info["Replication"]["role"])
	}
	return err
}

// shardOf returns the master of a key and its replica.
func shardOf(ctx context.Context, group *redistest.Cluster, key string) (master, replica *redistest.Server, err error) {
	if master, err = group.Owner(ctx, key); err != nil {
		return nil, nil, err
	}
	for _, node := range group.Nodes() {
		rdb := redis.NewClient(&redis.Options{Addr: node.Addr()})
		info, err := rdb.InfoMap(ctx, "replication").Result()
		_ = rdb.Close()
		if err != nil {
			return nil, nil, err
		}
		if now := info["Replication"]; now["role"] == "slave" && now["master_port"] == fmt.Sprint(master.Port()) {
			return master, node, nil
		}
	}
	return nil, nil, fmt.Errorf("%s has no replica", master.Addr())
}

// TestMigrationUnderLoad: the slot of a value, and that of the bus, go from one master
// to another, open for a while with the keys at the old owner and for a while with the
// keys at the new one. A value's slot costs nothing: go-redis follows ASK and MOVED.
// The slot of the bus costs the lease as long as it is open, because Redis answers
// TRYAGAIN to a script with two keys there: reads go to the source, and no write is
// lost.
func TestMigrationUnderLoad(t *testing.T) {
	t.Parallel()
	group := redistest.RunCluster(t, 3, 0)
	w := watched(t, 2, redis.UniversalOptions{Addrs: group.Addrs(), IsClusterMode: true})
	for _, s := range w.sites {
		s.meetShards(t, s.node.Redis())
	}
	w.recovered("at the start")
	w.do("a value's slot", func(ctx context.Context) error {
		return migrate(ctx, group, valueKey, func() { w.recovered("a value's slot is open") })
	})
	w.recovered("a value's slot has moved")
	w.do("the slot of the bus", func(ctx context.Context) error {
		return migrate(ctx, group, busKey, func() { w.refusesWrites("the slot of the bus is open") })
	})
	w.recovered("the slot of the bus has moved")
	w.heardAnew("the slot of the bus has moved")
}

// TestScriptsOnAMovedSlot: every script of every verb is answered with ASK while a slot is
// open and empty, and with MOVED after it has gone: each is followed, and nothing of
// it shows.
func TestScriptsOnAMovedSlot(t *testing.T) {
	t.Parallel()
	group := redistest.RunCluster(t, 3, 0)
	opts, how := unhurried(redis.UniversalOptions{Addrs: group.Addrs(), IsClusterMode: true})
	a, b := open(t, opts, how, keep), open(t, opts, how, keep)
	s := newSource()
	verbs := func(when string) {
		t.Helper()
		const key = "k0"
		s.set(key, "1")
		if err := a.Invalidate(t.Context(), key); err != nil {
			t.Errorf("%s: Invalidate: %v", when, err)
		}
		v, err := a.Get(t.Context(), key, s.load)
		wantValue(t, when+": Get", v, err, "1")
		v, err = a.Update(t.Context(), key, s.write("2"))
		wantValue(t, when+": Update", v, err, "2")
		eventually(t, when+": the other node reads it", b.reads(key, "2", s.load))
	}
	verbs("before")
	asked := s.loaded("k0")
	w := &watch{T: t}
	w.do("migrate", func(ctx context.Context) error {
		return migrate(ctx, group, valueKey, func() { verbs("while the slot is open") })
	})
	verbs("after")
	if got := s.loaded("k0") - asked; got != 3 {
		t.Errorf("%d loads, want one for each Get after an Invalidate", got)
	}
	for _, c := range []*site{a, b} {
		if got := c.Stats(); got.WeakLoads+got.RefusedFills+got.NotWritten+got.Unconfirmed+got.Corrupt != 0 {
			t.Errorf("Stats() = %+v, want no trouble", got)
		}
		if told := c.told(coherence.EventHistory) + c.told(coherence.EventAdrift); told > 3 {
			t.Errorf("events: %s", strings.Join(texts(c.heard()), "; "))
		}
	}
}

func texts(events []coherence.Event) (out []string) {
	for _, e := range events {
		out = append(out, e.String())
	}
	return out
}
