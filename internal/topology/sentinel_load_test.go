package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

// TestSentinelUnderLoad: every way to lose a master of a Sentinel group (1 + 1 + 3),
// one after the other and each under load. Whoever was master is a replica of its
// successor before the next one falls.
func TestSentinelUnderLoad(t *testing.T) {
	t.Parallel()
	group := redistest.RunSentinel(t)
	w := watched(t, 3, redis.UniversalOptions{Addrs: group.Addrs(), MasterName: group.MasterName()})
	w.loseMasters(group, []masterFault{
		{"master killed", kill, follow},
		{"failover to a stale replica", w.failToStale, follow},
		{"master stopped", stop, resume}, // for ten seconds it takes itself for the master
	})
}

// A masterFault makes Sentinels promote the replica, and heal makes a replica of whoever
// was master.
type masterFault struct {
	name        string
	begin, heal func(ctx context.Context, master, replica *redistest.Server) error
}

func (w *watch) loseMasters(group *redistest.Sentinel, faults []masterFault) {
	w.Helper()
	w.recovered("at the start")
	master, replica := group.Master(), group.Replica()
	for _, fault := range faults {
		met := w.histories()
		w.do(fault.name, func(ctx context.Context) error { return fault.begin(ctx, master, replica) })
		w.promoted(fault.name, group, replica)
		w.recovered(fault.name)
		w.heardAnew(fault.name) // a subscription to the master that was does not count
		w.metAnew(fault.name, met)
		w.do(fault.name, func(ctx context.Context) error { return fault.heal(ctx, master, replica) })
		w.follows(fault.name, master, replica)
		w.recovered(fault.name + ", healed")
		master, replica = replica, master
	}
}

func stop(_ context.Context, master, _ *redistest.Server) error   { return master.Stop() }
func resume(_ context.Context, master, _ *redistest.Server) error { return master.Cont() }
func kill(_ context.Context, master, _ *redistest.Server) error   { return master.Kill() }

// follow restarts the former master without data and makes it a replica of its
// successor, which Sentinels would do after ten seconds.
func follow(ctx context.Context, master, successor *redistest.Server) error {
	if err := errors.Join(successor.Reconcile(ctx), master.Restart(true)); err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: master.Addr()})
	defer rdb.Close()
	return rdb.ReplicaOf(ctx, "127.0.0.1", strconv.Itoa(successor.Port())).Err()
}

// failToStale keeps the replica from learning what is written, every key at least
// once, and kills the master.
func (w *watch) failToStale(ctx context.Context, master, replica *redistest.Server) error {
	if err := replica.Forsake(ctx); err != nil {
		return err
	}
	w.recovered("while the replica lags")
	return master.Kill()
}

func (w *watch) do(what string, f func(context.Context) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := f(ctx); err != nil {
		w.Fatalf("%s: %v", what, err)
	}
}

// histories counts the Redis processes that were new to the fleet.
func (w *watch) histories() (met int) {
	for _, s := range w.sites {
		met += s.told(coherence.EventHistory)
	}
	return met
}

// metAnew checks that the promoted replica was not taken for its master. The site that
// meets it first tells of it; the others may learn by the new epoch.
func (w *watch) metAnew(what string, before int) {
	w.Helper()
	if w.histories() == before {
		w.Errorf("%s: no site has met the promoted replica", what)
	}
}

// promoted waits until every Sentinel calls the server master.
func (w *watch) promoted(what string, group *redistest.Sentinel, server *redistest.Server) {
	w.Helper()
	for _, sentinel := range group.Sentinels() {
		rdb := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr()})
		eventually(w.T, what+": the Sentinels agree", func(ctx context.Context) error {
			addr, err := rdb.GetMasterAddrByName(ctx, group.MasterName()).Result()
			if err == nil && net.JoinHostPort(addr[0], addr[1]) != server.Addr() {
				err = fmt.Errorf("%s calls %s master", sentinel.Addr(), addr)
			}
			return err
		})
		_ = rdb.Close()
	}
}

// follows waits until server is a replica of master and has its data.
func (w *watch) follows(what string, server, master *redistest.Server) {
	w.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()
	eventually(w.T, what+": the former master is a replica", func(ctx context.Context) error {
		info, err := rdb.InfoMap(ctx, "replication").Result()
		if err != nil {
			return err
		}
		now := info["Replication"]
		if now["master_port"] != strconv.Itoa(master.Port()) || now["master_link_status"] != "up" {
			return fmt.Errorf("%v", now)
		}
		return nil
	})
}
